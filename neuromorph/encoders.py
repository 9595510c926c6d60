"""Encoders: real values as spike trains, without noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromorph.errors import ValidationError
from neuromorph.inputs import BLOCK, STEPS_MAX, Source, SpikeTrain, frozen
from neuromorph.parameters import Limit, described, integer, real
from neuromorph.records import Events

__all__ = ["LatencyEncoder", "RateEncoder"]

Ints = NDArray[np.int64]
GOLDEN = 0.6180339887498949  # (sqrt(5) - 1) / 2: multiples of it spread evenly over 0..1
FRACTION = Limit(0.0, 1.0)


class _Encoder(Source):
    """Values in 0..1 as spikes: sample s takes steps ``s S + 1 .. (s + 1) S`` of the run, S = steps_per_sample."""

    values: ArrayLike
    steps_per_sample: int
    window: int | None

    def _check(self) -> None:
        name = type(self).__name__
        array = np.asarray(self.values)
        if array.ndim != 2 or array.dtype.kind not in "buif":
            raise ValidationError(
                f"{name}.values: numbers of shape (samples, n) are needed, not {array.dtype} {array.shape}"
            )
        array = array.astype(np.float64)
        wrong = np.argwhere(FRACTION.wrong(array))
        if wrong.size:
            s, i = wrong[0]
            raise ValidationError(
                f"{name}.values[{s}, {i}] = {array[s, i]:g} is outside 0..1; scale them, e.g. x / x.max()"
            )
        object.__setattr__(self, "values", frozen(array))
        size = integer(f"{name}.steps_per_sample", self.steps_per_sample, 1, STEPS_MAX)
        window = size if self.window is None else self.window
        object.__setattr__(
            self, "window", integer(f"{name}.window", window, 1, size, "it lies within steps_per_sample")
        )

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(np.shape(self.values)[0])

    @property
    def steps(self) -> int:
        """Steps of all samples: ``samples * steps_per_sample``."""
        return self.samples * self.steps_per_sample

    @cached_property
    def train(self) -> SpikeTrain:
        """The spikes."""
        sample, k, channel = self._spikes()
        return SpikeTrain(sample * self.steps_per_sample + k + 1, channel)

    def _spikes(self) -> tuple[Ints, Ints, Ints]:
        """Sample, step within the sample (from 0) and channel of each spike."""
        raise NotImplementedError

    def events(self, start: int, steps: int, n: int, dt: float, key: tuple[int, str]) -> Events:
        """The spikes of `train`."""
        if np.shape(self.values)[1] != n:
            raise ValidationError(
                f"input {key[1]!r}: {type(self).__name__} of {np.shape(self.values)[1]} values; it has {n} channels"
            )
        if self.steps > steps:
            raise ValidationError(
                f"input {key[1]!r}: {self.samples} samples take {self.steps} steps ({self.steps * dt:g} s), the run "
                f"has {steps}; "
                "run longer, or encode fewer samples"
            )
        return self.train.events(start, steps, n, dt, key)

    def __repr__(self) -> str:
        samples, n = np.shape(self.values)
        return f"{type(self).__name__}({samples} samples of {n} values, {self.steps_per_sample} steps each)"


@described
@dataclass(frozen=True, eq=False, repr=False)
class RateEncoder(_Encoder):
    """Evenly spaced spikes, r per step, without noise.

    In each sample a channel spikes at the steps k = 0..window - 1 where ``floor((k + 1) r + o) > floor(k r + o)``, so
    it sends ``floor(window r + o)`` spikes.

    Parameters
    ----------
    values : array (samples, n)
        r: spikes per step, 0..1.
    steps_per_sample : int
        Steps of a sample.
    window : int, optional
        Steps at the start of a sample in which spikes may fall; default all.
    offset : float or array (n,), optional
        o in 0..1, which decides when a channel's first spike comes; default ``frac(i (sqrt(5) - 1) / 2)`` for channel
        i, which spreads the channels evenly.
    """

    values: ArrayLike
    steps_per_sample: int
    window: int | None = None
    offset: ArrayLike | None = None

    def __post_init__(self) -> None:
        self._check()
        n = np.shape(self.values)[1]
        offset = np.asarray(np.arange(n) * GOLDEN % 1.0 if self.offset is None else self.offset)
        if offset.dtype.kind not in "iuf" or offset.shape not in ((), (n,)):
            raise ValidationError(
                f"RateEncoder.offset: a number or an array ({n},) is needed, not {offset.dtype} {offset.shape}"
            )
        offset = offset.astype(np.float64)
        if FRACTION.wrong(offset).any():
            raise ValidationError(f"RateEncoder.offset = {offset[FRACTION.wrong(offset)][0]:g} is outside 0..1")
        object.__setattr__(self, "offset", frozen(offset))

    def _spikes(self) -> tuple[Ints, Ints, Ints]:
        found = [np.zeros((0, 3), dtype=np.int64)]
        rates, window = np.asarray(self.values), int(self.window or 0)
        size = max(1, BLOCK // max(1, (window + 1) * rates.shape[1]))
        k = np.arange(window + 1)[:, None]
        for first in range(0, self.samples, size):
            phase = np.floor(k * rates[first : first + size, None, :] + np.asarray(self.offset))
            found.append(np.argwhere(np.diff(phase, axis=1) > 0) + np.array([first, 0, 0]))
        sample, step, channel = np.concatenate(found).T
        return sample, step, channel


@described
@dataclass(frozen=True, eq=False, repr=False)
class LatencyEncoder(_Encoder):
    """One spike per value, the larger the earlier: at step ``k = floor((1 - x) (window - 1) + 1/2)`` of the sample.

    x = 1 spikes in the first step, x near 0 in the last step of the window; values up to `threshold` send nothing.

    Parameters
    ----------
    values : array (samples, n)
        x, 0..1.
    steps_per_sample : int
        Steps of a sample.
    window : int, optional
        Steps at the start of a sample over which spikes spread; default all.
    threshold : float
        0..1.
    """

    values: ArrayLike
    steps_per_sample: int
    window: int | None = None
    threshold: float = 0.0

    def __post_init__(self) -> None:
        self._check()
        real("LatencyEncoder.threshold", self.threshold, FRACTION)

    def _spikes(self) -> tuple[Ints, Ints, Ints]:
        x = np.asarray(self.values)
        sample, channel = np.nonzero(x > self.threshold)
        k = np.floor((1.0 - x[sample, channel]) * (int(self.window or 1) - 1) + 0.5).astype(np.int64)
        return sample, k, channel
