"""The image of a program: what a board gets is the same program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuromorph.errors import ImageError
from neuromorph.image import decode, sections, without_metadata
from neuromorph.program import Population, Projection, build
from neuromorph.testing.programs import draw
from neuromorph_cpu.native import verify


@pytest.mark.parametrize("seed", range(5))
def test_without_metadata_is_the_same_program_by_number(seed: int) -> None:
    program = draw(seed).program
    bare = without_metadata(program.image)
    assert 2 in sections(program.image)
    assert 2 not in sections(bare)
    assert len(bare) < len(program.image)
    assert bare[64:96] == program.image[64:96]  # the digest
    assert verify(bare) == verify(program.image)
    read = decode(bare)
    assert read.digest == program.digest
    assert list(read.populations) == [f"population{k}" for k in range(len(program.populations))]
    assert without_metadata(bare) == bare


def test_only_images_have_metadata_to_lose() -> None:
    with pytest.raises(ImageError, match="magic"):
        without_metadata(b"x" * 500)


def test_a_delay_as_an_array_of_no_dimension_is_one_delay() -> None:
    inputs, cells = Population("in", 2, "input"), Population("cells", 3, vth=10)
    program = build([inputs, cells], [Projection("p", "in", "cells", np.ones((2, 3), int), delays=np.array(4))])
    assert verify(program.image)
    assert decode(program.image).projections["p"].delays == 4


def test_programs_are_equal_by_their_images() -> None:
    program = draw(0).program
    again = decode(program.image)
    assert program == again
    assert hash(program) == hash(again)
    assert program != replace(program, name="other")
    assert program != program.image  # type: ignore[comparison-overlap]
