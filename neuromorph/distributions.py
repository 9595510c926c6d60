"""Distributions of weights, delays and initial values.

Value i of a draw is the quantile function at number i of a counter-based stream, so it depends on nothing but i, the
seed and the names of the stream (`neuromorph.random`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError
from neuromorph.parameters import Limit, described, real
from neuromorph.random import Stream, normal_quantile

__all__ = ["Constant", "Distribution", "LogNormal", "Normal", "Uniform"]

Floats = NDArray[np.float64]
Clip = tuple[float | None, float | None]


@dataclass(frozen=True)
class Distribution(ABC):
    """Base of all distributions.

    Parameters
    ----------
    clip : (low, high), optional
        Values outside are set to the nearer end; None for an end that is open.
    """

    clip: Clip | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        where = f"{type(self).__name__}.clip"
        if self.clip is None:
            return
        if not isinstance(self.clip, tuple | list) or len(self.clip) != 2:
            raise ValidationError(f"{where} = {self.clip!r}: a pair (low, high) is needed, None for an open end")
        low, high = (None if end is None else real(where, end, Limit()) for end in self.clip)
        if low is not None and high is not None and low > high:
            raise ValidationError(f"{where} = {self.clip!r}: low must not be above high")
        object.__setattr__(self, "clip", (low, high))

    def _check(self, **limits: Limit) -> None:
        for key, limit in limits.items():
            object.__setattr__(self, key, real(f"{type(self).__name__}.{key}", getattr(self, key), limit))

    @abstractmethod
    def quantile(self, p: Floats) -> Floats:
        """Value below which a fraction p lies, 0 < p < 1, before clipping."""

    def draw(self, stream: Stream, count: int) -> Floats:
        """Values 0 .. count - 1 of a stream."""
        drawn = self.quantile(stream.uniform(0, count))
        return drawn if self.clip is None else np.clip(drawn, *self.clip)


@described
@dataclass(frozen=True)
class Constant(Distribution):
    """The same value everywhere.

    Parameters
    ----------
    value : float
        Finite.
    """

    value: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(value=Limit())

    def quantile(self, p: Floats) -> Floats:
        """`value`."""
        return np.full(p.shape, self.value)


@described
@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform between `low` and `high`: ``low + (high - low) p``.

    Parameters
    ----------
    low, high : float
        Finite, low <= high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(low=Limit(), high=Limit())
        if self.low > self.high:
            raise ValidationError(f"Uniform.low = {self.low:g} is above high = {self.high:g}; swap them")

    def quantile(self, p: Floats) -> Floats:
        """``low + (high - low) p``."""
        return self.low + (self.high - self.low) * p


@described
@dataclass(frozen=True)
class Normal(Distribution):
    """Normal with mean and standard deviation.

    Parameters
    ----------
    mean : float
        Finite.
    std : float
        >= 0.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(mean=Limit(), std=Limit(0.0, hint="a standard deviation is not negative"))

    def quantile(self, p: Floats) -> Floats:
        """``mean + std z(p)``, z the standard normal quantile."""
        return self.mean + self.std * normal_quantile(p)


@described
@dataclass(frozen=True)
class LogNormal(Distribution):
    """Values whose logarithm is normal: ``exp(mu + sigma z)``; median ``exp(mu)``, mean ``exp(mu + sigma^2 / 2)``.

    Parameters
    ----------
    mu : float
        Mean of the logarithm; finite.
    sigma : float
        Standard deviation of the logarithm, >= 0.
    """

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(mu=Limit(), sigma=Limit(0.0, hint="a standard deviation is not negative"))
        # The largest quantile that a stream can ask for is 8.13 standard deviations.
        if self.mu + 9 * self.sigma > math.log(1e300):
            raise ValidationError(
                f"LogNormal.mu = {self.mu:g}, sigma = {self.sigma:g}: values overflow; mu and sigma are of the "
                "logarithm, "
                "e.g. LogNormal(mu=math.log(0.5), sigma=0.3)"
            )

    def quantile(self, p: Floats) -> Floats:
        """``exp(mu + sigma z(p))``."""
        return np.asarray(np.exp(self.mu + self.sigma * normal_quantile(p)))
