"""The Program: a network in integers, the same for every fixed-point machine (docs/semantics.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError
from neuromorph.parameters import integer, keywords
from neuromorph.profiles import LOIHI2, PROFILES, Profile
from neuromorph.rule import Rule
from neuromorph.short_term import ShortTerm

if TYPE_CHECKING:
    from pathlib import Path

    from neuromorph.report import Report

__all__ = ["Modulator", "Population", "Probe", "Program", "Projection", "ScheduleEntry", "build", "held_weights"]

Ints = NDArray[np.int64]
_Object = TypeVar("_Object", "Population", "Projection", "Modulator")
U = 1 << 23
VTH_MAX = (1 << 17) - 1
THETA_MAX = 1 << 30
MODULATOR_MAX = 1 << 30
GAIN_MAX = 1 << 24
SOURCES_MAX = 8


def held_weights(weights: NDArray[np.int64], sign_mode: str, profile: Profile = LOIHI2) -> NDArray[np.int64]:
    """Static weights as the machine holds them: clipped to the sign mode, in 8 bits mixed ones even (floor)."""
    clipped = np.clip(np.asarray(weights, dtype=np.int64), *profile.weights[sign_mode])
    return (clipped >> 1) << 1 if sign_mode == "mixed" and profile.even else clipped


def _check(name: str, field_name: str, value: object, low: int, high: int, n: int) -> int | Ints:
    """A parameter as int or int64 array (n,), within its range."""
    array = np.asarray(value)
    if array.dtype.kind not in "iub":
        raise ValidationError(f"{name}.{field_name}: integers are needed, not {array.dtype}")
    if array.ndim and array.shape != (n,):
        raise ValidationError(f"{name}.{field_name}: shape {array.shape}, needed a scalar or ({n},)")
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        bad = int(array.min()) if int(array.min()) < low else int(array.max())
        raise ValidationError(f"{name}.{field_name} = {bad} is outside {low}..{high}")
    if array.ndim == 0:
        return int(array)
    held = array.astype(np.int64)
    held.flags.writeable = False
    return held


@dataclass(frozen=True)
class Population:
    """Neurons or an input of a program; integers of docs/semantics.md, section 2 (scalar or one per neuron).

    `theta_inc`, `theta_drift`, `theta_min` and `init_theta` are on the scale of v with `theta_frac` fractional bits;
    `adaptive` switches the threshold on.
    """

    name: str
    n: int
    kind: Literal["input", "lif", "ternary"] = "lif"
    du: int | Ints = 4095
    dv: int | Ints = 0
    vth: int | Ints = 64
    bias: int | Ints = 0
    refractory: int | Ints = 0
    vth_lo: int | Ints = 0
    reset_interval: int = 0
    reset_offset: int = 0
    adaptive: bool = False
    theta_inc: int | Ints = 0
    theta_decay: int = 0
    theta_period: int = 0
    theta_frac: int = 0
    init_u: Ints | None = None
    init_v: Ints | None = None
    init_theta: Ints | None = None
    graded: bool = False
    theta_drift: int = 0
    theta_min: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", integer(f"population {self.name!r}: n", self.n, 1, 1 << 24))
        if self.kind not in ("input", "lif", "ternary"):
            raise ValidationError(f"population {self.name!r}: kind {self.kind!r} is unknown")
        ranges = {
            "du": (0, 4095), "dv": (0, 4096), "vth": (0, VTH_MAX), "bias": (1 - U, U - 1),
            "refractory": (0, 65535), "vth_lo": (-VTH_MAX, 0), "theta_inc": (0, THETA_MAX),
        }  # fmt: skip
        for key, (low, high) in ranges.items():
            object.__setattr__(self, key, _check(self.name, key, getattr(self, key), low, high, self.n))
        for key, (low, high) in {
            "reset_interval": (0, 2**32 - 1), "reset_offset": (0, 2**32 - 1), "theta_decay": (0, 4096),
            "theta_period": (0, 15), "theta_frac": (0, 12), "theta_drift": (0, THETA_MAX), "theta_min": (-THETA_MAX, 0),
        }.items():  # fmt: skip
            _check(self.name, key, getattr(self, key), low, high, 0)
        for key, low, high in (("init_u", -U, U), ("init_v", 1 - U, U - 1), ("init_theta", self.theta_min, THETA_MAX)):
            value = getattr(self, key)
            if value is not None:
                held = _check(self.name, key, np.broadcast_to(value, (self.n,)), low, high, self.n)
                object.__setattr__(self, key, held)
        if self.kind == "ternary" and (self.adaptive or self.is_refractory):
            raise ValidationError(
                f"population {self.name!r}: ternary neurons take no refractory period or adaptive threshold"
            )

    @property
    def is_refractory(self) -> bool:
        """Whether any neuron has a refractory period."""
        return bool(np.any(self.refractory))

    @property
    def drifts(self) -> bool:
        """Whether the threshold drifts, or falls below `vth`."""
        return self.theta_drift > 0 or self.theta_min < 0

    @property
    def has_reset(self) -> bool:
        """Whether u and v are reset on a schedule."""
        return self.reset_interval > 0

    def per_neuron(self, key: str) -> Ints:
        """A parameter as an array (n,)."""
        return np.broadcast_to(np.asarray(getattr(self, key), dtype=np.int64), (self.n,))


@dataclass(frozen=True)
class Projection:
    """Synapses of a program.

    Dense: `weights` has shape (n_pre, n_post). Sparse: `weights` has shape (nnz,), with `indptr` (n_pre + 1,) and
    `indices` (nnz,), targets ascending in each row. `delays` (stored value d = k - 1, 0..63) is a scalar or has the
    shape of `weights`.
    Static weights are given as they are held (`held_weights`); in profile wide all weights are in 1/128 of the unit.
    """

    name: str
    pre: str
    post: str
    weights: Ints
    weight_exp: int = 0
    sign_mode: Literal["mixed", "exc", "inh"] = "mixed"
    delays: int | Ints = 0
    indptr: Ints | None = None
    indices: Ints | None = None
    graded: bool = False
    rule: Rule | None = None
    plastic: bool = True  # plasticity on at the start
    short_term: ShortTerm | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule | None):
            raise ValidationError(f"projection {self.name!r}: rule = {self.rule!r:.60}; needed a neuromorph.rule.Rule")
        if isinstance(self.delays, np.ndarray) and not self.delays.ndim:
            object.__setattr__(self, "delays", int(self.delays))

    @property
    def layout(self) -> Literal["dense", "sparse"]:
        """Dense or sparse."""
        return "dense" if self.indptr is None else "sparse"

    @cached_property
    def max_delay(self) -> int:
        """Largest stored delay."""
        return int(np.max(self.delays)) if np.size(self.delays) else 0

    def shift(self, numbers: Profile) -> int:
        """By how many bits a sum of weights goes left (right if negative): release has 12 fractional bits."""
        return self.weight_exp - (numbers.weight_frac if self.short_term is None else 12)

    @property
    def slots(self) -> int:
        """Slots of the ring of contributions."""
        return self.max_delay + 1

    @property
    def synapses(self) -> int:
        """Number of weights."""
        return int(self.weights.size)

    @cached_property
    def pre_of(self) -> Ints:
        """Source neuron of each weight of a sparse projection, shape (nnz,)."""
        if self.indptr is None:
            raise ValidationError(f"projection {self.name!r} is dense: it has no row index")
        return np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))


@dataclass(frozen=True)
class Modulator:
    """A slow state that rules read (docs/semantics.md, section 4.4): one value for all, or one per neuron.

    Parameters
    ----------
    name : str
        Its name.
    of : str, optional
        The population whose neurons have a value each; None: it is shared, one value for all.
    sources : tuple of (str, int)
        Populations whose spikes act on it, each with its gain (|gain| <= 2^24); at most 8.
    mode : str
        "add": payload times gain is added; "hold": it takes the place of the value.
    decay, period : int
        It loses decay/4096 (0..4096) every 2^period steps (0..15).
    frac : int
        Rules read ``clip(M >> frac, -128, 127)``, 0..16.
    init : int or array
        Value at the start, scalar or (n,), |M| <= 2^30.
    """

    name: str
    of: str | None = None
    sources: tuple[tuple[str, int], ...] = ()
    mode: Literal["add", "hold"] = "add"
    decay: int = 0
    period: int = 0
    frac: int = 0
    init: int | Ints = 0

    def __post_init__(self) -> None:
        where = f"modulator {self.name!r}"
        if self.mode not in ("add", "hold"):
            raise ValidationError(f"{where}: mode {self.mode!r} is unknown; one of 'add', 'hold'")
        for key, high in (("decay", 4096), ("period", 15), ("frac", 16)):
            _check(where, key, getattr(self, key), 0, high, 0)
        if len(self.sources) > SOURCES_MAX:
            raise ValidationError(f"{where}: {len(self.sources)} sources; at most {SOURCES_MAX}")
        for source, gain in self.sources:
            _check(where, f"gain of {source!r}", gain, -GAIN_MAX, GAIN_MAX, 0)
        held = _check(where, "init", self.init, -MODULATOR_MAX, MODULATOR_MAX, int(np.size(self.init)))
        object.__setattr__(self, "init", held)

    @property
    def shared(self) -> bool:
        """Whether there is one value for all."""
        return self.of is None


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """At the management phase of `step` (0: before step 1).

    "plasticity" of a projection or "adaptation" of a population is switched `on` or off; a "modulator" takes `value`
    (all its elements; |value| <= 2^30).
    """

    step: int
    operation: Literal["plasticity", "adaptation", "modulator"]
    object: str
    on: bool = True
    value: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """Sample `variable` of the population, projection or modulator `object`; named `name` in the trace."""

    name: str
    object: str
    variable: str
    every: int = 1
    phase: int = 0


@dataclass(frozen=True, eq=False)
class Program:
    """A verified network in integers. Two are equal if their images are; `digest` says whether they behave alike.

    Attributes
    ----------
    dt : float
        Step in seconds (whole nanoseconds).
    rounding : str
        "shared" (the reference implementation's scalar numbers) or "synapse" (independent, counter-based).
    populations, projections, modulators : mapping
        By name, in the canonical order.
    profile : str
        "loihi2" or "wide" (see `neuromorph.profiles`).
    scales : mapping
        For people: physical value of one unit, e.g. ``("cells", "v")`` in units of the writer. Not part of the digest.
    deadline_us, counter : int
        Microseconds that a step may take, 0: any (0..10^9); security counter, of which boards take no lower one than
        the highest that they have confirmed (0..2^32 - 1). Not part of the digest.
    """

    dt: float
    populations: Mapping[str, Population]
    projections: Mapping[str, Projection]
    probes: tuple[Probe, ...] = ()
    schedule: tuple[ScheduleEntry, ...] = ()
    rounding: Literal["shared", "synapse"] = "synapse"
    seed: int = 0
    name: str = "program"
    profile: str = "loihi2"
    scales: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    report: Report | None = None
    modulators: Mapping[str, Modulator] = field(default_factory=dict)
    deadline_us: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        from neuromorph.validate import check_program

        check_program(self)

    def __eq__(self, other: object) -> bool:
        return self.image == other.image if isinstance(other, Program) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.image)

    @property
    def numbers(self) -> Profile:
        """Bits and ranges of its profile."""
        return PROFILES[self.profile]

    def values_of(self, modulator: Modulator) -> int:
        """Number of values of a modulator."""
        return 1 if modulator.of is None else self.populations[modulator.of].n

    @cached_property
    def image(self) -> bytes:
        """The bytes of the .nmi image."""
        from neuromorph.image import encode

        return encode(self)

    @property
    def digest(self) -> str:
        """BLAKE2s-256 of the logical sections, in hex: equal digests mean equal behaviour."""
        return self.image[64:96].hex()

    def save(self, path: str | Path) -> None:
        """Write the image to a .nmi file (atomically)."""
        from neuromorph.files import write_atomic

        write_atomic(path, self.image)

    @classmethod
    def load(cls, path: str | Path) -> Program:
        """Read a .nmi file; ValidationError if it cannot be read, ImageError if it is not an image or broken."""
        from neuromorph.files import load_file
        from neuromorph.image import decode

        return load_file(path, "image", decode)


@keywords
def build(
    populations: list[Population],
    projections: list[Projection],
    *,
    dt: float = 1e-3,
    probes: tuple[Probe, ...] = (),
    schedule: tuple[ScheduleEntry, ...] = (),
    rounding: Literal["shared", "synapse"] = "synapse",
    seed: int = 0,
    name: str = "program",
    modulators: tuple[Modulator, ...] | list[Modulator] = (),
    profile: str = "loihi2",
) -> Program:
    """A program directly from integers, no floats involved; static weights are rounded as the machine holds them.

    Raises
    ------
    ValidationError
        A parameter out of range, a duplicate or unknown name, a shape that does not fit.
    """
    from dataclasses import replace

    from neuromorph.validate import check_profile, check_weights

    numbers = check_profile(profile)
    kinds = {"populations": Population, "projections": Projection, "modulators": Modulator}
    for (called, kind), given in zip(kinds.items(), (populations, projections, modulators), strict=True):
        for item in given:
            if not isinstance(item, kind):
                raise ValidationError(f"build: {called} holds {item!r:.60}; needed program.{kind.__name__}")
    for p in projections:
        check_weights(p, numbers)
    held = [p if p.rule else replace(p, weights=held_weights(p.weights, p.sign_mode, numbers)) for p in projections]
    return Program(
        dt=dt, populations=_named(populations), projections=_named(held), probes=probes, schedule=schedule,
        rounding=rounding, seed=seed, name=name, profile=profile, modulators=_named(list(modulators)),
    )  # fmt: skip


def _named(objects: list[_Object]) -> dict[str, _Object]:
    names = [o.name for o in objects]
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise ValidationError(f"the name {twice.pop()!r} is used twice; each object has its own")
    return {o.name: o for o in objects}
