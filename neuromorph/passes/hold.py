"""How single parameters are held in integers (docs/semantics.md, "Continuous meaning and how it is held")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.errors import ValidationError
from neuromorph.parameters import as_ms
from neuromorph.program import THETA_MAX

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from neuromorph.graph import Adaptation

__all__ = [
    "BIAS_MAX",
    "SLOW_TAU_MAX",
    "Theta",
    "check_tau",
    "compact",
    "hold_adaptation",
    "hold_bias",
    "hold_du",
    "hold_dv",
    "slow_decay",
    "tau_of",
]

TOLERANCE = 0.05  # of a held time constant
TAU_MAX, SLOW_TAU_MAX = 400, 400 << 15  # steps; of a state that decays every step, and every 2^15 steps at most
FINE = 0.01  # of an increment, and of a time constant that has several ways to be held
MANTISSA, BIAS_EXP = 4095, 7  # bias: 12 bits and sign, shifted by up to 7
BIAS_MAX = MANTISSA << BIAS_EXP


def compact(values: ArrayLike) -> int | NDArray[np.int64]:
    """Integers as one number where all are equal."""
    array = np.asarray(np.rint(values), dtype=np.int64)
    return int(array.flat[0]) if array.size and np.all(array == array.flat[0]) else array


def hold_threshold(where: str, asked: ArrayLike, k: float) -> NDArray[np.float64]:
    """Thresholds in units of 64 steps of v, of which one is 1/k. Raises ValidationError where one becomes 0."""
    wanted = np.asarray(asked, float)
    held: NDArray[np.float64] = np.rint(wanted * k / 64)
    lost = (held == 0) & (wanted != 0)
    if lost.any():
        raise ValidationError(
            f"{where} = {wanted[lost].flat[0]:g} would be held as 0: beside the largest threshold, bias and initial "
            f"value of this population it is held from {64 / k:.3g} on; narrow their range, or use two populations"
        )
    return held


def tau_of(factor: ArrayLike, dt: float) -> NDArray[np.float64]:
    """The time constant of a factor per step: ``-dt / ln(factor)``; 0 for 0, inf for 1."""
    with np.errstate(divide="ignore"):
        tau: NDArray[np.float64] = dt / np.abs(np.log(np.asarray(factor, float)))
        return tau


def hold_du(ku: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """`du` and the factor that it keeps, ``(4095 - du) / 4096``."""
    du = np.clip(np.rint(4095 - 4096 * ku), 0, 4095).astype(np.int64)
    return du, (4095 - du) / 4096


def hold_dv(kv: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """`dv` and the factor that it keeps, ``(4096 - dv) / 4096``."""
    dv = np.rint(4096 * (1 - kv)).astype(np.int64)
    return dv, (4096 - dv) / 4096


def check_tau(where: str, asked: ArrayLike, held: ArrayLike, dt: float, longest: int = TAU_MAX) -> None:
    """Refuse a held time constant that is more than 5% off; up to `longest` steps all are held."""
    want, have = np.broadcast_arrays(np.asarray(asked, float), np.asarray(held, float))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(want == have, 0.0, have / want - 1)
    worst = int(np.argmax(np.abs(error)))
    if abs(error.flat[worst]) <= TOLERANCE:
        return
    tau, got = want.flat[worst], have.flat[worst]
    least, most = 0.12 * dt, longest * dt
    way = "use 0 (forget at once) or a smaller dt"
    if tau > dt:
        way = f"use a larger dt, or inf for no decay{as_ms(tau, least, most)}"
    raise ValidationError(
        f"{where} = {tau:g} s cannot be held at dt = {dt:g} s: the nearest is {got:g} s ({error.flat[worst]:+.1%}, "
        f"limit {TOLERANCE:.0%}); from {least:.3g} s to {most:.3g} s all are held: {way}"
    )


def hold_bias(drive: NDArray[np.float64]) -> NDArray[np.float64]:
    """A bias (machine units of u) as 13-bit mantissas with one exponent 0..7, so that Loihi can hold it too."""
    largest = float(np.max(np.abs(drive), initial=0.0))
    exponent = next((e for e in range(BIAS_EXP) if largest <= MANTISSA << e), BIAS_EXP)
    step = 1 << exponent
    return np.clip(np.rint(drive / step), -MANTISSA, MANTISSA) * step


@dataclass(frozen=True, slots=True)
class Theta:
    """An adaptive threshold in integers; `tau` as held, `loss`: what truncation adds to an increment's decay."""

    inc: NDArray[np.float64]
    decay: int
    period: int
    frac: int
    init: NDArray[np.float64]
    tau: float
    loss: float
    drift: int = 0
    floor: int = 0


def hold_adaptation(where: str, asked: Adaptation, scale: float, dt: float) -> Theta:
    """Fractional bits, increment, decay and its period, for `scale` machine units per unit of v.

    7 fractional bits let theta reach the whole range of v; more are taken where the increment needs them. The period
    is the shortest that holds tau within 1% and whose truncation (half a unit per decay) adds under 5% to the decay of
    one increment.
    """
    increment = np.asarray(asked.increment, float) * scale
    init = np.asarray(asked.init, float) * scale
    frac = 7
    while frac < 12 and _off(increment, frac) > FINE:
        frac += 1
    inc, start = np.rint(increment * 2.0**frac), np.rint(init * 2.0**frac)
    if _off(increment, frac) > TOLERANCE:
        raise ValidationError(
            f"{where} increment = {np.min(np.asarray(asked.increment)):g} is too small beside the threshold: it is "
            f"held {_off(increment, frac):.0%} off, limit {TOLERANCE:.0%}; the finest step is {2.0**-12 / scale:.3g}"
        )
    floor = int(np.ceil(asked.floor * scale * 2**frac))
    for what, value in (("increment", inc), ("init", start), ("floor", np.asarray(-floor))):
        if np.max(value) > THETA_MAX:
            limit = THETA_MAX / 2**frac / scale
            asked_most = np.max(value) / 2**frac / scale
            raise ValidationError(f"{where} {what} is {asked_most:g}; at most {limit:g} can be held")
    if asked.drift:
        period, drift = _hold_drift(where, asked, inc, dt)
        return Theta(inc, 0, period, frac, start, asked.tau, 0.0, drift, floor)
    period, decay, tau, loss = slow_decay(asked.tau, dt, float(np.max(inc)))
    check_tau(f"{where} tau", asked.tau, tau, dt, SLOW_TAU_MAX)
    return Theta(inc, decay, period, frac, start, tau, loss, floor=floor)


def _hold_drift(where: str, asked: Adaptation, inc: NDArray[np.float64], dt: float) -> tuple[int, int]:
    """Period and size of the steps in which a threshold falls: the shortest period that holds the rate within 1%.

    The rate is that at which drift and increments cancel, so it counts beside the increment as it is held.
    """
    each = float(np.max(inc)) * asked.drift / float(np.max(np.asarray(asked.increment))) * dt
    exact = [each * 2**period for period in range(16)]
    error = [abs(round(step) / step - 1) for step in exact]
    period = next((k for k in range(16) if error[k] <= FINE), int(np.argmin(error)))
    if error[period] > TOLERANCE or round(exact[period]) > THETA_MAX:
        raise ValidationError(
            f"{where} drift of {asked.drift:g} per second cannot be held at dt = {dt:g} s: {exact[period]:.3g} units "
            f"every {2**period} steps; use a {'larger' if error[period] > TOLERANCE else 'smaller'} increment"
        )
    return period, round(exact[period])


def _off(value: NDArray[np.float64], frac: int) -> float:
    some = value[value > 0] * 2.0**frac
    return float(np.max(np.abs(np.rint(some) / some - 1), initial=0.0))


def slow_decay(tau: float, dt: float, inc: float) -> tuple[int, int, float, float]:
    """Period, decay, held tau, and the truncation's share of the decay of one increment."""
    if tau == 0 or np.isinf(tau):
        return 0, 0 if tau else 4096, tau, 0.0
    found = []
    for period in range(16):
        step = dt * 2**period
        if period and step > tau / 4:  # a coarser staircase would show
            break
        decay = round(4096 * -float(np.expm1(-step / tau)))
        held = float(tau_of(1 - decay / 4096, step))
        error = abs(held / tau - 1)
        loss = 0.5 * tau / step / inc if inc else 0.0
        found.append((max(error - FINE, 0.0), max(loss - TOLERANCE, 0.0), period, decay, held, loss))
    _, _, period, decay, held, loss = min(found)
    return period, decay, held, loss
