"""Two lengths of an image that are wrong at once: ``python -m tests.system.lengths``.

Each pair of the lengths of ``test_verifier.py`` with each pair of {0, 1, the most, one more, 2^16 - 1, 2^31, 2^32 - 1},
and the image's digest, hash and checksum right: the verifier (C) and the reader (Python) must both take it, or refuse
it by rules that fit one of the two; one that is taken gives the same trace on `cpu` and `cpu:ref`.
``tests/system/test_lengths.py`` takes one pair of values for each pair of lengths.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator

import neuromorph as nm
from neuromorph.image import decode
from neuromorph.program import Program
from tests.system.test_images import whole
from tests.system.test_verifier import LENGTHS, Change, both_rules, changed

STEPS = 12


def changes(name: str) -> list[Change]:
    """Its values, those that its bytes hold."""
    section, k, byte, width, most, _ = LENGTHS[name]
    values = sorted({0, 1, most, most + 1, 0xFFFF, 1 << 31, 0xFFFFFFFF})
    form = {1: "<B", 2: "<H", 4: "<I"}[width]
    return [(section, k, byte, form, value) for value in values if value < 1 << 8 * width]


def pairs(rng: random.Random | None = None) -> Iterator[tuple[tuple[str, str], tuple[Change, ...]]]:
    """All, or one of values for each pair of lengths."""
    for names in itertools.combinations(LENGTHS, 2):
        both = list(itertools.product(*map(changes, names)))
        yield from ((names, pair) for pair in (both if rng is None else [rng.choice(both)]))


def check(program: Program, names: tuple[str, str], pair: tuple[Change, ...]) -> int:
    """The verifier's rule; raises AssertionError."""
    image = changed(program, *pair)
    rule, here = both_rules(image)
    fitting = set().union(*(LENGTHS[name][5] for name in names))
    case = f"{names} with {[change[4] for change in pair]}: rule {rule} in C, {here} in Python"
    if bool(rule) != bool(here) or (rule and not {rule, here} <= fitting):
        raise AssertionError(f"{case}; it fits {fitting}")
    if not rule and not same_steps(image):
        raise AssertionError(f"{case}; the trace is another")
    return rule


def same_steps(image: bytes) -> bool:
    """Whether the engine in C does what the specification does."""
    program = decode(image)
    with nm.open(program, "cpu") as engine, nm.open(program, "cpu:ref") as reference:
        same = nm.compare(engine.run(steps=STEPS), reference.run(steps=STEPS)).equal
        return same and engine.snapshot() == reference.snapshot()


def search(rng: random.Random | None = None) -> Counter[int]:
    """How often which rule refused (0: taken)."""
    program = whole()
    return Counter(check(program, names, pair) for names, pair in pairs(rng))


def main() -> None:
    """All pairs."""
    began = time.monotonic()
    rules = search()
    told = ", ".join(f"{n} by R{rule}" for rule, n in sorted(rules.items()) if rule)
    print(
        f"{rules.total()} images with two lengths changed: refused {told}; {rules[0]} taken, with the same steps on "
        f"cpu and cpu:ref; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
