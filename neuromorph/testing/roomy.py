"""Programs at the end of the memory that the C engine can count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph.program import Population, Projection, build
from neuromorph.rule import Factor, Product, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LIMIT", "at_the_limit"]

LIMIT = 2**31
"""Bytes of working memory of a program, at most."""
_MOST = 2**24  # neurons of a population


def at_the_limit(need: Callable[[bytes], int]) -> tuple[bytes, bytes, bytes]:
    """Images that need all of the memory, eight bytes more, and over 2^32 bytes; none is to be run.

    `need` tells what an engine needs for an image: that depends on the machine.
    """
    least = _image(2)  # the array of an input with two neurons takes 8 bytes
    last = 2 + (LIMIT - need(least)) // 4
    return _image(last), _image(last + 2), _delayed()


def _image(last: int) -> bytes:
    inputs = [Population(f"input{k}", n, "input") for k, n in enumerate((_MOST, _MOST, _MOST, last))]
    few = Population("few", 8, du=0, dv=0, vth=10, bias=1)
    # what is placed last is of rules that read q
    rule = Rule((Product("x0", 1, 0, (Factor("q"),)),))
    return build([*inputs, *_cells(7), few], [Projection("p", "few", "few", np.ones((8, 8), int), rule=rule)]).image


def _delayed() -> bytes:
    """Two delays of 31 slots, each of which is less than the limit, on half of the limit."""
    row, weight = np.array([0, 1]), np.array([1])
    few = [
        Projection(f"p{k}", "input", "cells0", weight, indptr=row, indices=row[:1], delays=30) for k in range(2)
    ]  # fmt: skip
    return build([Population("input", 1, "input"), *_cells(4)], few).image


def _cells(count: int) -> list[Population]:
    return [Population(f"cells{k}", _MOST, du=0, dv=0, vth=10, bias=1) for k in range(count)]
