"""Digits at the contrast that they have: homeostasis does what normalisation did."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("sklearn", reason="the digits need scikit-learn: pip install 'neuromorph[examples]'")

from neuromorph.demo import learn
from neuromorph.examples.digits import PAYLOAD_MAX, RAW, Digits


def test_adapting_thresholds_read_raw_digits_better_than_fixed_ones() -> None:
    raw = Digits(split=0, passes=3, raw=True)
    adapting, fixed = (learn(each, "cpu").accuracy for each in (raw, replace(raw, homeostasis=False)))
    assert adapting >= 0.9
    assert adapting - fixed >= 0.02


def test_raw_payloads_follow_the_grey_levels_and_keep_the_differences_in_contrast() -> None:
    raw, normal = (Digits(train=50, test=20, raw=each).payloads.astype(float) for each in (True, False))
    lit = raw > 1
    assert lit.any()
    assert (raw[lit] % RAW == 0).all()
    assert raw.max() == 16 * RAW <= PAYLOAD_MAX
    spread = [((each**2).sum(axis=1) ** 0.5).std() for each in (raw, normal)]
    assert spread[0] > 10 * spread[1]
