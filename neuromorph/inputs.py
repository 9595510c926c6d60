"""What inputs emit in a run: spike trains, arrays per step and Poisson noise (`neuromorph.encoders`: coded values).

A source knows nothing of a network; a run asks it for the events of its steps. Steps of a source count from 1 in the
run's own frame: step 1 is the first step of that run, whatever ran before it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromorph.errors import CapacityError, ValidationError
from neuromorph.parameters import Limit, described
from neuromorph.random import Stream
from neuromorph.records import Events, encode_records
from neuromorph.validate import nearest

if TYPE_CHECKING:
    from neuromorph.program import Program

__all__ = [
    "Events", "Poisson", "Source", "SpikeArray", "SpikeTrain", "as_source", "collect",
    "gather",
]  # fmt: skip

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PAYLOAD_MAX = (1 << 23) - 1
STEPS_MAX = (1 << 32) - 1
BLOCK = 1 << 22  # random numbers that are drawn at once
RATES = Limit(0.0, unit="Hz", hint="write e.g. 50 * Hz")


class Source(ABC):
    """Base of all sources."""

    @abstractmethod
    def events(self, start: int, steps: int, n: int, dt: float, key: tuple[int, str]) -> Events:
        """Spikes of a run.

        Parameters
        ----------
        start : int
            The last step before the run.
        steps : int
            Length of the run, which covers steps start + 1 to start + steps.
        n : int
            Channels of the input.
        dt : float
            Step in seconds.
        key : (int, str)
            Seed of the network and name of the input: what random sources draw from, and what errors name.

        Returns
        -------
        Events
            Absolute steps and indices as int64, sorted by step, then index; payloads or None.

        Raises
        ------
        ValidationError
            An index beyond the input's channels, or a spike after the last step of the run.
        """


@described
@dataclass(frozen=True, eq=False)
class SpikeTrain(Source):
    """Spikes by step and index, in any order.

    Parameters
    ----------
    steps : array of int (spikes,)
        From 1: step 1 is the first step of the run.
    indices : array of int (spikes,)
        Channel of each spike; no channel twice in a step.
    payloads : array of int (spikes,), optional
        Signed payload of each spike, for graded inputs: not 0, below 2^23 in magnitude.
    """

    steps: ArrayLike
    indices: ArrayLike
    payloads: ArrayLike | None = None

    def __post_init__(self) -> None:
        steps = _integers("SpikeTrain.steps", self.steps, 1, STEPS_MAX, "steps count from 1, the first step of the run")
        indices = _integers("SpikeTrain.indices", self.indices, 0, (1 << 24) - 1)
        payloads = None
        if self.payloads is not None:
            payloads = _payloads("SpikeTrain.payloads", self.payloads)
        for name, array in (("indices", indices), ("payloads", payloads)):
            if array is not None and array.shape != steps.shape:
                raise ValidationError(
                    f"SpikeTrain.{name} has {array.size} values for {steps.size} steps; one per spike is needed"
                )
        order = np.lexsort((indices, steps))
        steps, indices = steps[order], indices[order]
        twice = np.flatnonzero((np.diff(steps) == 0) & (np.diff(indices) == 0))
        if twice.size:
            where = f"channel {indices[twice[0]]} in step {steps[twice[0]]}"
            raise ValidationError(
                f"SpikeTrain: two spikes of {where}; one is possible: drop one, or use payloads on a graded input"
            )
        object.__setattr__(self, "steps", frozen(steps))
        object.__setattr__(self, "indices", frozen(indices))
        object.__setattr__(self, "payloads", None if payloads is None else frozen(payloads[order]))

    def __len__(self) -> int:
        return int(np.size(self.steps))

    def __repr__(self) -> str:
        return f"SpikeTrain({len(self)} spikes)"

    def between(self, first: int, last: int) -> SpikeTrain:
        """The spikes of steps first + 1 to last, counted from 1 again: what one of several shorter runs takes."""
        a, b = np.searchsorted(np.asarray(self.steps), (first, last), side="right")
        payloads = None if self.payloads is None else np.asarray(self.payloads)[a:b]
        return SpikeTrain(np.asarray(self.steps)[a:b] - first, np.asarray(self.indices)[a:b], payloads)

    def events(self, start: int, steps: int, n: int, dt: float, key: tuple[int, str]) -> Events:  # noqa: ARG002
        """The spikes, moved to the run's steps."""
        own, indices = np.asarray(self.steps), np.asarray(self.indices)
        if own.size and own[-1] > steps:
            raise ValidationError(
                f"input {key[1]!r}: a spike at step {own[-1]} of a run of {steps} steps; run longer, or give the part "
                "that fits: "
                f"train.between(0, {steps})"
            )
        if indices.size and indices.max() >= n:
            raise ValidationError(f"input {key[1]!r}: a spike of channel {indices.max()}; it has channels 0..{n - 1}")
        return Events(own + start, indices, None if self.payloads is None else np.asarray(self.payloads))


@described
@dataclass(frozen=True, eq=False)
class SpikeArray(Source):
    """Spikes per step: a value that is not 0 is a spike, and in integers beyond 0 and 1 its payload.

    Parameters
    ----------
    array : array of bool or int (T, n)
        Row k holds step k + 1 of the run. A run that is longer than T steps is silent afterwards.
    """

    array: ArrayLike

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 2 or array.dtype.kind not in "bui":
            raise ValidationError(
                f"SpikeArray.array: booleans or integers of shape (steps, n) are needed, not {array.dtype} "
                f"{array.shape}; "
                "encode real values with nm.RateEncoder or nm.LatencyEncoder"
            )
        _payloads("SpikeArray.array", array[array != 0])
        object.__setattr__(self, "array", frozen(np.array(array)))

    def __repr__(self) -> str:
        return f"SpikeArray({np.shape(self.array)})"

    def events(self, start: int, steps: int, n: int, dt: float, key: tuple[int, str]) -> Events:  # noqa: ARG002
        """Where the array is not 0."""
        array = np.asarray(self.array)
        _check_rows(key[1], "SpikeArray", array.shape, steps, n)
        rows, indices = np.nonzero(array)
        found = array[rows, indices].astype(np.int64)
        return Events(rows + (start + 1), indices, None if np.all(found == 1) else found)


@described
@dataclass(frozen=True, eq=False)
class Poisson(Source):
    """Independent random spikes: each channel spikes in each step with probability ``rate * dt``.

    The draw of channel i in step t (counted from the start of the session, not of the run) is number ``(t - 1) n + i``
    of the stream of the seed and the input's name, so a run in parts gives the same spikes as the run in one piece.

    Parameters
    ----------
    rates : float, array (n,) or array (T, n)
        Hertz, 0..1/dt: for all channels, for each, or row k for step k + 1 of the run (silent after T steps).
    """

    rates: ArrayLike

    def __post_init__(self) -> None:
        rates = np.asarray(self.rates)
        if rates.dtype.kind not in "iuf" or rates.ndim > 2:
            raise ValidationError(
                f"Poisson.rates: hertz are needed, a scalar, (n,) or (steps, n), not {rates.dtype} {rates.shape}"
            )
        wrong = RATES.wrong(np.asarray(rates, dtype=np.float64))
        if wrong.any():
            raise ValidationError(f"Poisson.rates = {rates[wrong][0]:g} Hz: it must be {RATES}; {RATES.hint}")
        object.__setattr__(self, "rates", frozen(np.array(rates, dtype=np.float64)))

    def __repr__(self) -> str:
        rates = np.asarray(self.rates)
        return f"Poisson({rates:g} Hz)" if rates.ndim == 0 else f"Poisson({rates.shape})"

    def events(self, start: int, steps: int, n: int, dt: float, key: tuple[int, str]) -> Events:
        """Spikes where the draw is below ``rate * dt``."""
        chance = np.asarray(self.rates) * dt
        if chance.size and chance.max() > 1.0:
            raise ValidationError(
                f"input {key[1]!r}: a Poisson rate of {chance.max() / dt:g} Hz; at most one spike per step is "
                "possible: "
                f"1 / dt = {1 / dt:g} Hz. Lower the rate or dt"
            )
        if chance.ndim == 1 and chance.shape != (n,):
            raise ValidationError(f"input {key[1]!r}: Poisson.rates has shape {chance.shape}; needed ({n},)")
        length = steps
        if chance.ndim == 2:
            _check_rows(key[1], "Poisson.rates", chance.shape, steps, n)
            length = chance.shape[0]
        stream = Stream(key[0], key[1], "spikes")
        size = max(1, BLOCK // n)
        found = [np.zeros((0, 2), dtype=np.int64)]
        for first in range(0, length, size):
            rows = min(size, length - first)
            draws = stream.uniform((start + first) * n, rows * n).reshape(rows, n)
            found.append(np.argwhere(draws < (chance[first : first + rows] if chance.ndim == 2 else chance)))
            found[-1][:, 0] += start + first + 1
        absolute, indices = np.concatenate(found).T
        return Events(absolute, indices)


# ----------------------------------------------------------------------------------------------------------- collecting


class Sized(Protocol):
    """A population of a Program or Graph."""

    @property
    def n(self) -> int:
        """Size."""

    @property
    def kind(self) -> str:
        """Kind."""

    @property
    def graded(self) -> bool:
        """Whether spikes carry payloads."""


def as_source(where: str, value: Any) -> Source:
    """A source, or an array per step as one."""
    if isinstance(value, Source):
        return value
    if isinstance(value, np.ndarray):
        return SpikeArray(value)
    raise ValidationError(
        f"{where} = {value!r:.60}; needed nm.SpikeTrain, nm.SpikeArray, nm.Poisson, nm.RateEncoder or nm.LatencyEncoder"
    )


def gather(
    populations: Mapping[str, Sized], inputs: Mapping[Any, Any], start: int, steps: int, dt: float, seed: int
) -> dict[str, Events]:
    """Checked events of the inputs of a run, by name; inputs without a source are silent.

    Parameters
    ----------
    populations : mapping
        Of a program, by name.
    inputs : mapping
        Source, or array of shape (steps, n), by handle or name.
    start, steps : int
        The run covers steps start + 1 to start + steps.
    dt : float
        Step in seconds.
    seed : int
        Of the program.

    Raises
    ------
    ValidationError
        An unknown name, no input, an index, step or payload out of range, or a payload for a binary input.
    CapacityError
        More spikes than this computer's memory holds.
    """
    found: dict[str, Events] = {}
    known = [name for name, pop in populations.items() if pop.kind == "input"]
    for key, value in inputs.items():
        name = getattr(key, "name", key)
        if name not in known:
            what = "is no input" if name in populations else "does not exist"
            raise ValidationError(f"inputs: {name!r} {what}; {nearest(str(name), known)}")
        if name in found:
            raise ValidationError(f"inputs: {name!r} is given twice")
        pop = populations[name]
        source = as_source(f"inputs[{name!r}]", value)
        try:
            events = source.events(start, steps, pop.n, dt, (seed, name))
        except MemoryError as error:
            raise CapacityError(
                f"input {name!r}: the spikes of {pop.n} channels in {steps} steps do not fit into this computer's "
                "memory; run fewer steps at a time"
            ) from error
        if events.payloads is not None and not pop.graded:
            raise ValidationError(
                f"input {name!r} is binary and takes no payloads; leave them out, or make it net.input(..., "
                "graded=True)"
            )
        if pop.graded and events.payloads is None:
            events = events._replace(payloads=np.ones_like(events.steps))
        found[name] = events
    return found


def collect(program: Program, inputs: Mapping[Any, Any], start: int, steps: int) -> bytes:
    """The input records (docs/image.md, section 4) of steps start + 1 to start + steps of a program; see `gather`."""
    events = gather(program.populations, inputs, start, steps, program.dt, program.seed)
    numbers = {name: k for k, name in enumerate(program.populations)}
    return encode_records({numbers[name]: spikes for name, spikes in events.items()})


# ------------------------------------------------------------------------------------------------------------- helpers


def _integers(where: str, given: ArrayLike, low: int, high: int, hint: str = "") -> Ints:
    array = np.asarray(given)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        times = "; of times in seconds: np.rint(times / dt).astype(int)" if where == "SpikeTrain.steps" else ""
        raise ValidationError(
            f"{where}: whole numbers of shape (spikes,) are needed, not {array.dtype} {array.shape}{times}"
        )
    array = array.astype(np.int64)
    bad = np.flatnonzero((array < low) | (array > high))
    if bad.size:
        raise ValidationError(
            f"{where}[{bad[0]}] = {array[bad[0]]} is outside {low}..{high}{'; ' + hint if hint else ''}"
        )
    return array


def _payloads(where: str, given: ArrayLike) -> Ints:
    array = _integers(where, np.asarray(given).astype(np.int8) if np.asarray(given).dtype == bool else given,
                      -PAYLOAD_MAX, PAYLOAD_MAX, "payloads are below 2^23 in magnitude")  # fmt: skip
    zero = np.flatnonzero(array == 0)
    if zero.size:
        raise ValidationError(f"{where}[{zero[0]}] = 0: a payload of 0 is no spike; leave that spike out")
    return array


def _check_rows(name: str, what: str, shape: tuple[int, ...], steps: int, n: int) -> None:
    if shape[1] != n:
        raise ValidationError(f"input {name!r}: {what} of shape {shape}; needed (steps, {n})")
    if shape[0] > steps:
        raise ValidationError(f"input {name!r}: {what} of {shape[0]} steps for a run of {steps}; run longer, or cut it")


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, made read-only."""
    array.flags.writeable = False
    return array
