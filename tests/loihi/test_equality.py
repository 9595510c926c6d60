"""The chip's limits change no bit: what it holds runs as on `cpu:ref`; what it does not hold is refused by name."""

from __future__ import annotations

import pytest

from neuromorph.compare import compare
from neuromorph.errors import CapacityError, TargetError, UnsupportedError
from neuromorph.passes.legalise import check_features
from neuromorph.program import Program
from neuromorph.targets import find
from neuromorph.testing.equality import disagreement, random_case
from neuromorph.testing.programs import draw
from neuromorph_loihi import LOIHI_1, LOIHI_2, place
from neuromorph_loihi.engine import LoihiEngine

WANTED = 30


def held(program: Program) -> bool:
    """Whether Loihi 2 holds a program."""
    try:
        check_features(program, find("loihi")[1])
        place(program, LOIHI_2)
    except (CapacityError, UnsupportedError):
        return False
    return True


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(5))
def test_programs_that_it_holds_are_equal(part: int) -> None:
    target = find("loihi")[1]
    done, seed = 0, 1000 * part
    while done < WANTED // 5:
        seed += 1
        if not held(draw(seed).program):  # then what comes of this seed in the end mostly is not, either
            continue
        case = random_case(seed)
        if held(case.draw.program):
            assert not disagreement(case, LoihiEngine(target, LOIHI_2))
            done += 1


def test_programs_that_it_does_not_hold_are_refused_by_name() -> None:
    """The message names an object of the program; nothing was loaded."""
    target = find("loihi:1")[1]
    refused = []
    for seed in range(40):
        program = draw(seed).program
        names = [program.name, *program.populations, *program.projections, *program.modulators]
        engine = LoihiEngine(target, LOIHI_1)
        try:
            engine.load(program.image)
        except (CapacityError, UnsupportedError) as error:
            refused.append(any(repr(name) in str(error) for name in names))
            with pytest.raises(TargetError, match="no program is loaded"):
                engine.now()
    assert refused
    assert all(refused)


def test_traces_compare_equal() -> None:
    """Also through the usual way: one trace from each target."""
    import neuromorph as nm

    program = draw(next(seed for seed in range(50) if held(draw(seed).program))).program
    assert compare(nm.run(program, target="cpu:ref", steps=20), nm.run(program, target="loihi", steps=20)).equal
