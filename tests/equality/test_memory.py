"""The C engine counts the memory of a program to the byte: 2^31 are the most, whatever a sum in 32 bits would say."""

from __future__ import annotations

import pytest

from neuromorph.errors import ImageError
from neuromorph.testing.roomy import LIMIT, at_the_limit
from neuromorph_cpu.native import verify


def test_the_last_byte_is_given_and_no_more() -> None:
    fits, *others = at_the_limit(verify)
    assert verify(fits) == LIMIT
    for image in others:
        with pytest.raises(ImageError, match="R9"):
            verify(image)
