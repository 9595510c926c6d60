"""Differential fuzzing of images: the decoder in Python against the verifier in C, and what both accept is run.

``python image_fuzz.py MODE SEED COUNT`` prints JSON: how many mutants each mode made, what both accepted and refused
(with the verifier's rules), and every disagreement. It is a process of its own, so that a crash is seen.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
import sys
from collections import Counter
from typing import Any

from neuromorph.crc import crc32c
from neuromorph.errors import ImageError, NeuromorphError
from neuromorph.image import HEADER, decode, encode
from neuromorph.testing.programs import draw

STEPS = 12
STRICTER = ("random stream", "decay of a rule's modulators", "metadata")
"""What only a reader on a computer can check."""
MEMORY = 9
"""Memory is a matter of the machine."""
INTERESTING = (0, 1, 2, 3, 7, 127, 128, 255, 256, 4095, 4096, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def sealed(image: bytearray) -> bytes:
    """The image with its digest, hash and checksum made right again."""
    found = hashlib.blake2s()
    count, size = struct.unpack_from("<HH", image, 12)
    for k in range(count if size == 24 else 0):
        at = HEADER + 24 * k
        if at + 24 > len(image):
            break
        kind, flags, offset, length, *rest = struct.unpack_from("<HHIIIII", image, at)
        if flags & 2:
            found.update(struct.pack("<HHIIIII", kind, flags, 0, length, *rest) + image[offset : offset + length])
    image[64:96] = found.digest()
    image[96:128] = hashlib.blake2s(image[:96] + image[HEADER:]).digest()
    image[156:160] = struct.pack("<I", crc32c(bytes(image[:156])))
    return bytes(image)


def table(image: bytes | bytearray) -> list[tuple[int, int, int, int]]:
    """Type, offset, length and stride of each section."""
    count = struct.unpack_from("<H", image, 12)[0]
    found = []
    for k in range(count):
        kind, _, offset, length, _, stride, _ = struct.unpack_from("<HHIIIII", image, HEADER + 24 * k)
        found.append((kind, offset, length, stride))
    return found


def flip(rng: random.Random, image: bytearray) -> str:
    """One bit of any byte, nothing made right."""
    at = rng.randrange(len(image))
    image[at] ^= 1 << rng.randrange(8)
    return f"byte {at}"


def field(rng: random.Random, image: bytearray) -> str:
    """A number in a record of a small section, in the header or the section table."""
    spots = [(0, 4, 60, 1), (-1, HEADER, 24 * len(table(image)), 24)]
    spots += [(kind, offset, length, stride) for kind, offset, length, stride in table(image) if length and kind != 2]
    kind, offset, length, stride = rng.choice(spots)
    at = offset + rng.randrange(length)
    width = rng.choice([1, 1, 2, 4])
    at -= (at - offset) % stride % width if stride > 1 else 0
    width = min(width, len(image) - at)
    old = int.from_bytes(image[at : at + width], "little")
    flipped = old ^ 1 << rng.randrange(8 * width)
    new = rng.choice([old + 1, old - 1, flipped, rng.choice(INTERESTING), rng.getrandbits(32)])
    new %= 1 << 8 * width
    image[at : at + width] = new.to_bytes(width, "little")
    return f"section {kind} at {at - offset} (record byte {(at - offset) % stride}): {old} -> {new}"


def record(rng: random.Random, image: bytearray) -> str:
    """A record copied over another one, or a count, offset or length of the table changed together with its partner."""
    found = [entry for entry in table(image) if entry[3] > 1 and entry[2] > entry[3]]
    if found and rng.random() < 0.5:
        kind, offset, length, stride = rng.choice(found)
        a, b = (offset + stride * rng.randrange(length // stride) for _ in "ab")
        image[a : a + stride] = image[b : b + stride]
        return f"section {kind}: record at {a} from {b}"
    k = rng.randrange(len(table(image)))
    at = HEADER + 24 * k
    kind, flags, offset, length, count, stride, capacity = struct.unpack_from("<HHIIIII", image, at)
    what = rng.choice(["fewer", "cut", "type", "move", "stride", "flags"])
    if what == "fewer" and count:
        count = rng.randrange(count)
    elif what == "cut" and capacity:
        capacity = count = rng.randrange(capacity)
        length = capacity * stride
    elif what == "type":
        kind = rng.randrange(50)
    elif what == "move":
        offset += 8 * rng.choice([-2, -1, 1, 2])
    elif what == "stride" and length:
        stride = rng.choice([s for s in range(1, 65) if length % s == 0])
        capacity = count = length // stride
    else:
        flags ^= rng.choice([1, 2, 3, 4])
    struct.pack_into("<HHIIIII", image, at, kind, flags, max(offset, 0), length, count, stride, capacity)
    return f"entry {k}: {what}"


MODES = {"flip": flip, "field": field, "record": record}


def accepts(image: bytes, judge: Any) -> tuple[bool, int, str]:
    """Whether a judge takes an image, else its rule and message; anything but an ImageError is a fault."""
    try:
        judge(image)
    except ImageError as error:
        return False, error.rule, str(error)
    return True, 0, ""


def trace_of(engine: Any, image: bytes) -> bytes:
    """All that a few steps put out, and the state at their end."""
    out: list[bytes] = []
    engine.load(image)
    engine.run(STEPS, b"", out.append)
    return b"".join(out)


def main(mode: str, seed: int, count: int) -> None:
    """Make `count` mutants and judge them."""
    from neuromorph_cpu.native import NativeEngine, verify
    from neuromorph_cpu.ref_engine import RefEngine

    rng = random.Random(seed)
    rules: Counter[int] = Counter()
    result: dict[str, Any] = {"accepted": 0, "refused": 0, "disagree": [], "differ": []}
    seeds = range(seed * 12, seed * 12 + 12)
    images = [encode(draw(k, profile="wide" if k % 3 == 2 else "loihi2").program) for k in seeds]
    for k in range(count):
        image = bytearray(images[k % len(images)])
        note = MODES[mode](rng, image)
        mutant = bytes(image) if mode == "flip" else sealed(image)
        native, rule, _ = accepts(mutant, verify)
        python, other, message = accepts(mutant, decode)
        where = f"{mode} {seed}, mutant {k}, {note}: C rule {rule}, Python rule {other} {message[:120]}"
        if native != python:
            known = rule == MEMORY or (native and any(word in message for word in STRICTER))
            result["refused"] += known
            if not known:
                result["disagree"].append(where)
            continue
        result["accepted" if native else "refused"] += 1
        rules[rule] += 1
        if not native:
            continue
        try:
            traces = [trace_of(engine, mutant) for engine in (NativeEngine(), RefEngine())]
        except NeuromorphError as error:
            result["differ"].append(f"{where}: {type(error).__name__}: {error}")
            continue
        if traces[0] != traces[1]:
            result["differ"].append(where)
    print(json.dumps({**result, "rules": dict(rules)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
