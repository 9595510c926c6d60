"""Distributions: statistics at fixed seeds, clipping, and elements that do not depend on their number."""

import math

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.distributions import Distribution
from neuromorph.random import Stream

N = 40_000


def draw(distribution: Distribution, count: int = N) -> np.ndarray:
    return distribution.draw(Stream(3, "syn", "weights"), count)


@pytest.mark.parametrize(
    ("distribution", "mean", "std"),
    [
        (nm.Constant(0.25), 0.25, 0.0),
        (nm.Uniform(-1.0, 3.0), 1.0, 4 / math.sqrt(12)),
        (nm.Normal(2.0, 0.5), 2.0, 0.5),
        (nm.LogNormal(0.1, 0.4), math.exp(0.18), math.exp(0.18) * math.sqrt(math.exp(0.16) - 1)),
    ],
)
def test_mean_and_standard_deviation(distribution: Distribution, mean: float, std: float) -> None:
    drawn = draw(distribution)
    assert drawn.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(N) + 1e-12)
    assert drawn.std() == pytest.approx(std, rel=0.03, abs=1e-12)


def test_normal_has_the_normal_share_within_one_standard_deviation() -> None:
    drawn = draw(nm.Normal(0.0, 1.0))
    assert np.mean(np.abs(drawn) < 1) == pytest.approx(0.6827, abs=0.01)
    assert np.mean(drawn < 0) == pytest.approx(0.5, abs=0.0125)


def test_uniform_stays_between_its_ends() -> None:
    drawn = draw(nm.Uniform(0.1, 0.3))
    assert 0.1 <= drawn.min() < 0.101
    assert 0.299 < drawn.max() <= 0.3


def test_clip_sets_values_to_the_nearer_end() -> None:
    free, clipped = draw(nm.Normal(0.0, 1.0)), draw(nm.Normal(0.0, 1.0, clip=(-0.5, None)))
    assert np.array_equal(clipped, np.maximum(free, -0.5))
    assert draw(nm.Uniform(0, 1, clip=(0.2, 0.4))).max() == 0.4


@pytest.mark.parametrize("distribution", [nm.Uniform(0, 1), nm.Normal(0, 1), nm.LogNormal(0, 1)])
def test_a_longer_draw_begins_with_the_shorter_one(distribution: Distribution) -> None:
    assert np.array_equal(draw(distribution, 100)[:17], draw(distribution, 17))
