"""Checks of what a modeller writes: one place for kinds, ranges and shapes of parameters, and for misspelt ones."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError
from neuromorph.validate import nearest

__all__ = [
    "LIMITS", "Limit", "as_ms", "as_numbers", "described", "integer", "keywords", "name_of", "real", "steps", "values",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Floats = NDArray[np.float64]
STEP_TOLERANCE = 1e-9  # relative; far above the rounding of k * dt, far below half a step


@dataclass(frozen=True, slots=True)
class Limit:
    """Range of a parameter: [low, high], or without its lower end if `open`; finite unless `infinite`."""

    low: float = -math.inf
    high: float = math.inf
    open: bool = False
    infinite: bool = False
    unit: str = ""
    hint: str = ""

    def wrong(self, value: Floats) -> NDArray[np.bool_]:
        """Where values are outside, or no numbers."""
        low = value <= self.low if self.open else value < self.low
        return np.asarray(low | (value > self.high) | np.isnan(value) | (np.isinf(value) & (not self.infinite)))

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.low == -math.inf and self.high == math.inf:
            return "a finite number"
        low = f"{'> ' if self.open else '>= '}{self.low:g}" if self.low > -math.inf else ""
        high = f"<= {self.high:g}" if self.high < math.inf else ""
        finite = "" if self.infinite or high else "finite and "
        return f"{finite}{' and '.join(part for part in (low, high) if part)}{unit}"


SECONDS = "write seconds, e.g. 20 * ms"
LIMITS = {
    "tau_m": Limit(0.0, open=True, infinite=True, unit="s", hint=f"{SECONDS}; math.inf for no leak"),
    "tau_s": Limit(0.0, unit="s", hint=f"{SECONDS}; 0 for synapses that act within one step"),
    "v_th": Limit(0.0, open=True, hint="v rests and is reset at 0, so a threshold lies above it"),
    "v_th_low": Limit(high=0.0, hint="the lower threshold lies at or below rest, e.g. -1.0"),
    "bias": Limit(hint="in units of v; leave it out for none"),
    "refractory": Limit(0.0, unit="s", hint=f"{SECONDS}; 0 for none"),
    "resistance": Limit(0.0, open=True, hint="leave it out for tau_m / tau_s"),
    "v_init": Limit(hint="in units of v"),
    "u_init": Limit(hint="in units of a weight"),
}
"""Ranges of the parameters of neurons, by name."""


def real(where: str, value: object, limit: Limit) -> float:
    """A single number within its range."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        needed = "" if str(limit) == "a finite number" else f", {limit}"
        raise ValidationError(f"{where} = {_show(value)}: a number is needed{needed}{_next(limit)}")
    held = float(value)
    if limit.wrong(np.asarray(held)):
        raise ValidationError(f"{where} = {held:g}{_unit(limit)}: it must be {limit}{_next(limit)}")
    return held


def integer(where: str, value: object, low: int, high: int, hint: str = "") -> int:
    """A single whole number within low..high."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise ValidationError(f"{where} = {_show(value)}: a whole number in {low}..{high} is needed")
    if not low <= int(value) <= high:
        raise ValidationError(f"{where} = {int(value)} is outside {low}..{high}{'; ' + hint if hint else ''}")
    return int(value)


def values(where: str, value: object, limit: Limit, n: int | None = None) -> float | Floats:
    """A number, or one per neuron (shape (n,); any length if `n` is None), as float or read-only float64 array."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValidationError(f"{where} = {_show(value)}: a number or an array of numbers is needed{_next(limit)}")
    if array.ndim > 1 or (n is not None and array.ndim and array.shape != (n,)):
        needed = f"({n},)" if n is not None else "(n,)"
        raise ValidationError(f"{where} has shape {array.shape}; needed a scalar or {needed}, one per neuron")
    if array.ndim == 0:
        return real(where, array.item(), limit)
    held = np.array(array, dtype=np.float64)
    bad = np.flatnonzero(limit.wrong(held))
    if bad.size:
        raise ValidationError(f"{where}[{bad[0]}] = {held[bad[0]]:g}{_unit(limit)}: it must be {limit}{_next(limit)}")
    held.flags.writeable = False
    return held


def as_numbers(where: str, value: object) -> NDArray[Any]:
    """What a user gives as numbers, of any shape: an array of integers or floats, or of booleans."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValidationError(f"{where}: numbers are needed; {error}") from None
    if array.dtype.kind not in "iubf":
        raise ValidationError(f"{where}: numbers are needed, not {array.dtype}")
    return array


def as_ms(seconds: float, low: float, high: float) -> str:
    """The end of a message on a time that is too long, if the same number of milliseconds would do; else nothing."""
    return f"; times are in seconds: for {seconds:g} ms write {seconds:g} * ms" if low <= seconds * 1e-3 <= high else ""


def steps(where: str, seconds: object, dt: float, low: int, high: int, hint: str = "") -> int:
    """A time as a whole number of steps in low..high; refuses what lies between two steps."""
    held = real(where, seconds, Limit(unit="s", hint=SECONDS))
    k = round(held / dt)
    allowed = f"multiples of dt = {dt:g} s from {low * dt:g} s to {high * dt:g} s ({low} to {high} steps) are allowed"
    if abs(held / dt - k) > STEP_TOLERANCE * max(1, abs(k)):
        near = f"; nearest: {min(max(k, low), high) * dt:g} s"
        raise ValidationError(f"{where} = {held:.12g} s is not a multiple of dt = {dt:g} s; {allowed}{near}")
    if not low <= k <= high:
        more = as_ms(held, low * dt, high * dt) + ("; " + hint if hint else "")
        raise ValidationError(f"{where} = {held:g} s is {k} steps; {allowed}{more}")
    return k


def name_of(where: str, name: object) -> str:
    """A name that prints: a non-empty string without control characters or outer blanks."""
    if not isinstance(name, str) or not name or not name.isprintable() or name != name.strip():
        raise ValidationError(f"{where}: name = {name!r} must be a non-empty, printable string without outer blanks")
    return name


def keywords(function: Callable[P, R], shown: str = "") -> Callable[P, R]:
    """Refuse arguments that the function does not have, with the nearest that it has."""
    signature = inspect.signature(function)
    title = shown or function.__qualname__

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            known = [name for name in signature.parameters if name != "self"]
            unknown = [name for name in kwargs if name not in known]
            if unknown:
                raise ValidationError(
                    f"{title} has no parameter {unknown[0]!r}; {nearest(unknown[0], known)}"
                ) from None
            raise ValidationError(f"{title}: {error}; parameters: {', '.join(known)}") from None
        return function(*args, **kwargs)

    return checked


def described(cls: type[T]) -> type[T]:
    """Class decorator for a description: its constructor refuses arguments that it does not have (see `keywords`)."""
    constructor: Callable[..., None] = cls.__init__
    setattr(cls, "__init__", keywords(constructor, cls.__name__))  # noqa: B010
    return cls


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unit(limit: Limit) -> str:
    return f" {limit.unit}" if limit.unit else ""


def _next(limit: Limit) -> str:
    return f"; {limit.hint}" if limit.hint else ""
