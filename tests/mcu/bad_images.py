"""Bad images to a board in QEMU: ``python -m tests.mcu.bad_images [COUNT] [--machine NAME]``.

First each length of an image with each of {0, 1, the most, one more, 2^16 - 1, 2^31, 2^32 - 1}, then the fuzzers'
corpus of images (COUNT of them, all by default), hash and checksum made right. What the verifier here refuses, the
board must refuse by the same rule at the same byte, and keep the program that it has at its step; what it takes must
come to the same state in every bit.
"""

from __future__ import annotations

import argparse
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from neuromorph_cpu.native import NativeEngine
from neuromorph_mcu.client import Client, Refused
from neuromorph_mcu.messages import Code
from neuromorph_mcu.ports import open_port
from tests.fuzz.__main__ import CORPUS
from tests.mcu.power import image_of
from tests.system.lengths import changes
from tests.system.test_images import sealed, whole
from tests.system.test_verifier import LENGTHS, changed, verdict

MACHINE = "mps2-an385"
HEADER = 160
DEADLINE = 10
"""The rule that depends on how fast a board is."""
BEFORE, STEPS = 3, 5
"""Steps of the program that stays, and of one that is taken."""


def lengths() -> Iterator[bytes]:
    """One wrong length each."""
    program = whole()
    for name in LENGTHS:
        yield from (changed(program, change) for change in changes(name))


def corpus() -> Iterator[bytes]:
    """What the fuzzers have kept."""
    with zipfile.ZipFile(CORPUS / "image.zip") as archive:
        for name in sorted(archive.namelist()):
            image = archive.read(name)
            yield sealed(bytearray(image)) if len(image) >= HEADER else image


@dataclass
class Judge:
    """A board that does some program, and what it said to all images so far."""

    port: Any
    said: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.client = Client(self.port, "board")
        self.begin()

    def begin(self) -> None:
        """With the program that stays."""
        self.client.upload(image_of(1))
        self.client.run(BEFORE, b"", lambda _: None)
        self.status = self.client.status()

    def judge(self, image: bytes) -> None:
        """Raises AssertionError where the board says something else than the verifier here."""
        _, rule, offset = verdict(image)
        try:
            self.client.upload(image)
        except Refused as refused:
            self._refused(refused, rule, offset)
            return
        if rule:
            raise AssertionError(f"the board takes what rule R{rule} refuses at byte {offset}: {image.hex()}")
        self._same_steps(image)
        self.said["taken, with the same steps"] += 1
        self.begin()

    def _refused(self, refused: Refused, rule: int, offset: int) -> None:
        answer = refused.answer
        if answer.code == Code.IMAGE and answer.a == DEADLINE and not rule:
            self.said["too slow for its deadline"] += 1
        elif answer.code == Code.CAPACITY and not rule:
            self.said["too large"] += 1
        elif (answer.code, answer.a, answer.b) == (Code.IMAGE, rule, offset):
            self.said[f"refused by R{rule}"] += 1
        else:
            raise AssertionError(f"the board says {answer}; here: rule {rule} at byte {offset}")
        if self.client.status() != self.status:
            raise AssertionError(f"after {answer} the board has {self.client.status()}; it had {self.status}")

    def _same_steps(self, image: bytes) -> None:
        here = NativeEngine()
        here.load(image)
        ours, theirs = bytearray(), bytearray()
        here.run(STEPS, b"", ours.extend)
        self.client.run(STEPS, b"", theirs.extend)
        if ours != theirs:
            raise AssertionError(f"the records of {STEPS} steps differ: {image.hex()}")
        for item in range(self.client.status().items):
            size = here._item(item).count
            if size and here.read_item(item, 0, size) != self.client.read(item, 0, size):
                raise AssertionError(f"state item {item} differs after {STEPS} steps: {image.hex()}")

    def told(self) -> str:
        """In words."""
        return ", ".join(f"{n} x {what}" for what, n in sorted(self.said.items()))


def main() -> int:
    """Both kinds, one line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=None, help="of the corpus (default: all)")
    parser.add_argument("--machine", default=MACHINE)
    options = parser.parse_args()
    port = open_port(f"nmqemu://{options.machine}")
    try:
        for what, images in (("a wrong length", list(lengths())), ("the corpus", list(corpus())[: options.count])):
            began, judge = time.monotonic(), Judge(port)
            for image in images:
                judge.judge(image)
            print(
                f"mcu:qemu-{options.machine}: {len(images)} images of {what}: {judge.told()}; "
                f"{time.monotonic() - began:.0f} s",
                flush=True,
            )
    finally:
        port.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
