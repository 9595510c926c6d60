"""Times that users give, as whole steps and as microseconds of a step."""

from __future__ import annotations

import math

from neuromorph.errors import ValidationError
from neuromorph.parameters import Limit, real

__all__ = ["MAX_STEP", "PERIOD_MOST", "microseconds_of", "steps_of"]

MAX_STEP = (1 << 32) - 1
"""The last step that a machine can count."""

PERIOD_MOST = 1000
"""Seconds of a step by the machine's own clock."""


def steps_of(duration: float, dt: float) -> int:
    """Number of steps of a duration in seconds.

    Raises
    ------
    ValidationError
        It is no number, or not a whole number of steps in 0..`MAX_STEP`.
    """
    most = Limit(0.0, MAX_STEP * dt, unit="s", hint=f"machines count {MAX_STEP} steps, here of {dt:g} s")
    steps = real("duration", duration, most) / dt
    if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
        near = round(steps) * dt
        raise ValidationError(
            f"duration = {duration!r} s is not a whole number of steps of {dt:g} s; nearest: {near:g} s"
        )
    return round(steps)


def microseconds_of(seconds: float) -> int:
    """The period of steps in microseconds; 0 for none.

    Raises
    ------
    ValidationError
        It is neither 0 nor between 1 µs and `PERIOD_MOST` seconds.
    """
    if not math.isfinite(seconds) or not 0 <= seconds <= PERIOD_MOST or 0 < seconds < 1e-6:
        raise ValidationError(f"a step of {seconds!r} s: it must be between 1 µs and {PERIOD_MOST} s")
    return round(seconds * 1e6)
