"""Two lengths of an image that are wrong at once: the verifier and the reader refuse it by rules that fit."""

from __future__ import annotations

import random

from tests.system.lengths import search
from tests.system.test_verifier import LENGTHS


def test_two_wrong_lengths_are_refused_by_rules_that_fit_one_of_them() -> None:
    """One pair of values for each pair of lengths; all twelve thousand: ``python -m tests.system.lengths``."""
    rules = search(random.Random(1))
    assert rules.total() == len(LENGTHS) * (len(LENGTHS) - 1) // 2
    assert {1, 2, 5, 6, 7, 8} <= rules.keys()
