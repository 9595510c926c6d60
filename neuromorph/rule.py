"""A learning rule as the integer machine holds it: sums of products over local variables (docs/semantics.md, 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError
from neuromorph.profiles import PROFILES

__all__ = [
    "FUNCTIONS", "MODULATORS", "TRACES", "VARIABLES", "WIDTHS", "Factor", "Function", "Product", "Rule", "Trace",
    "decay_table", "modulator_table", "wide_decay",
]  # fmt: skip

TRACES = ("x1", "x2", "y1", "y2", "y3")
MODULATORS = ("m1", "m2", "m3", "m4")
"""Variables for the modulators of a rule, in the order of `Rule.modulators`."""
VARIABLES = ("x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "d", "t", "1", *MODULATORS, "q")
"""Variables of a factor in the order of their codes in the image; "1" is a constant alone."""
WIDTHS = {
    "x0": 1, "y0": 1, "x1": 7, "x2": 7, "y1": 7, "y2": 7, "y3": 7, "w": 9, "d": 9, "t": 9, "1": 8,
    "m1": 7, "m2": 7, "m3": 7, "m4": 7, "q": 9,
}  # fmt: skip
"""Bits of each variable; see `Factor.bits`."""
DEPENDENCIES = ("x0", "y0", "u")
Function = Literal["", "sgn", "pos", "on"]
FUNCTIONS: tuple[Function, ...] = ("", "sgn", "pos", "on")
"""Functions of a factor in the order of their codes in the image."""
CONSTANT_FRAC = 6  # bits of `Factor.fine`
EXP_MIN = min(profile.exp_min for profile in PROFILES.values())
PERIOD_MAX, OLD_PERIOD_MAX = 15, 9  # of u_k; beyond the second it is an extension
SUM_SHIFT_MAX = 31
GRADED_TRACES = ("none", "overwrite", "add_saturate", "add_wrap")


@dataclass(frozen=True, slots=True)
class Factor:
    """``function(variable + sign second + constant)``.

    Parameters
    ----------
    variable : str
        One of `VARIABLES`. "1" is a constant alone; with a `second` it is 0, as in ``pos(40 - w)``.
    constant : int
        -512..511.
    function : str
        "" (the sum itself), "sgn", "pos" (the sum, or 0 where it is negative), "on" (1 where the sum is positive).
    second : str
        Another variable, or "".
    sign : int
        1 or -1: whether `second` is added or subtracted.
    fine : int
        0..63, 64ths that are added to the constant (profile wide only).
    """

    variable: str
    constant: int = 0
    function: Function = ""
    second: str = ""
    sign: int = 1
    fine: int = 0

    def __post_init__(self) -> None:
        for name in self.variables:
            if name not in VARIABLES:
                raise ValidationError(f"factor variable {name!r} is unknown; one of {', '.join(VARIABLES)}")
        if not -512 <= self.constant <= 511:
            raise ValidationError(f"constant {self.constant} of factor {self.variable} is outside -512..511")
        if not 0 <= self.fine < 1 << CONSTANT_FRAC:
            raise ValidationError(f"fine {self.fine} of factor {self.variable} is outside 0..63")
        if self.function not in FUNCTIONS:
            raise ValidationError(f"function {self.function!r} of factor {self.variable} is unknown; sgn, pos or on")
        if self.sign not in (1, -1) or (self.sign == -1 and not self.second):
            raise ValidationError(f"factor {self.variable}: sign {self.sign} is that of the second variable, 1 or -1")
        if self.second == "1":
            raise ValidationError(f"factor {self.variable}: the second variable cannot be a constant")
        if self.variable == "1" and bool(self.second) != (self.function in ("pos", "on")):
            raise ValidationError("a constant alone takes no function, and a second variable only in pos and on")
        if self.variable == "1" and self.second and self.sign == 1:
            raise ValidationError(f"write {self.second} plus a constant with {self.second} as the first variable")

    @property
    def variables(self) -> tuple[str, ...]:
        """The one or two variables."""
        return (self.variable, self.second) if self.second else (self.variable,)

    @property
    def bits(self) -> int:
        """Its width b: it is clipped to [-2^b, 2^b - 1] and counts b for the hidden shift of its product."""
        old_sgn = self.function == "sgn" and not self.second and self.variable in ("w", "d", "t")
        if self.function in ("sgn", "on") and not old_sgn:
            return 1
        return max(WIDTHS[name] for name in self.variables)

    @property
    def extended(self) -> bool:
        """Whether it is more than the reference implementation of this profile has."""
        plain = not self.function or (self.function == "sgn" and self.variable in ("w", "d", "t"))
        return bool(self.second) or not plain


@dataclass(frozen=True, slots=True)
class Product:
    """``dependency * mant * 2^exp * factors``; `k` belongs to the dependency "u" (every 2^k epochs).

    mant -8..7, exp -7..8; in profile wide exp -22..8.
    """

    dependency: Literal["x0", "y0", "u"]
    mant: int
    exp: int
    factors: tuple[Factor, ...] = ()
    k: int = 0

    def __post_init__(self) -> None:
        if self.dependency not in DEPENDENCIES:
            raise ValidationError(f"dependency {self.dependency!r} is unknown; one of x0, y0, u")
        if not -8 <= self.mant <= 7:
            raise ValidationError(f"scale mantissa {self.mant} is outside -8..7")
        if not EXP_MIN <= self.exp <= 8:
            raise ValidationError(f"scale exponent {self.exp} is outside {EXP_MIN}..8")
        if not 0 <= self.k <= PERIOD_MAX or (self.k and self.dependency != "u"):
            raise ValidationError(f"u{self.k}: k must be 0..{PERIOD_MAX} and belongs to the dependency u")
        if len(self.factors) > 6:
            raise ValidationError(f"{len(self.factors)} factors in one product; at most 6")

    @property
    def hidden_shift(self) -> int:
        """Right shift that the machine applies to the product of the factors: ``max(0, 4 + sum(bits) - 15)``."""
        return max(0, 4 + sum(f.bits for f in self.factors) - 15)

    @property
    def gain(self) -> float:
        """Effective real gain of the product: ``mant * 2^(exp - hidden_shift)``."""
        return self.mant * 2.0 ** (self.exp - self.hidden_shift)

    @property
    def extended(self) -> bool:
        """Whether it needs extended factors: a function, a second variable, or a period over 2^9 epochs."""
        return self.k > OLD_PERIOD_MAX or any(f.extended for f in self.factors)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace: `ii` + `fi`/256 is added at a spike, decay with `tau` steps (0: forgets at once).

    `table` holds the entries of the decay where they are not `decay_table(tau)` (in profile wide: `wide_decay(tau)`,
    as its 4 bytes): exponentials of another computer, in an image that was made there.
    """

    ii: int
    fi: int
    tau: float
    table: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.ii <= 127 or not 0 <= self.fi <= 255:
            raise ValidationError(f"trace impulse {self.ii} + {self.fi}/256 is outside 0..127")
        if not (math.isfinite(self.tau) and self.tau >= 0):
            raise ValidationError(f"trace time constant {self.tau} steps must be finite and >= 0")

    @property
    def decay(self) -> NDArray[np.uint64]:
        """The 129 entries of its decay (see `decay_table`); `tau` is not 0."""
        return np.frombuffer(self.table, "<u8").astype(np.uint64) if self.table else decay_table(self.tau)

    @property
    def wide(self) -> tuple[int, int]:
        """Loss and shift of its decay in profile wide (see `wide_decay`)."""
        word = int.from_bytes(self.table, "little")
        return (word & (1 << 24) - 1, word >> 24) if self.table else wide_decay(self.tau)

    @classmethod
    def of(cls, impulse: float, tau: float) -> Trace:
        """From a real impulse (0..127): ``ii = floor(impulse)``, ``fi = round(256 * fraction)`` (256: carried)."""
        ii = math.floor(impulse)
        fi = round(256 * (impulse - ii))
        return cls(ii + 1, 0, tau) if fi == 256 else cls(ii, fi, tau)


def decay_table(tau: float) -> NDArray[np.uint64]:
    """The 129 entries of a trace's decay: ``(floor(D v) << 54) | ceil(frac(D v) * 2^53)``, ``D = exp(-1/tau)``."""
    decay = float(np.exp(-1.0 / tau))
    fraction, whole = np.modf(decay * np.arange(129))
    threshold = np.ceil(fraction * 2.0**53).astype(np.uint64)
    table: NDArray[np.uint64] = (whole.astype(np.uint64) << np.uint64(54)) | threshold
    return table


def wide_decay(tau: float) -> tuple[int, int]:
    """Loss E and shift s of a trace in profile wide: in a step it loses the share ``E / 2^s = 1 - exp(-1/tau)``.

    s is the largest of 16..31 for which E is at most 2^16, so a held tau is right to 16 bits up to 65536 steps.
    """
    if not tau:
        return 1 << 16, 16
    share = -math.expm1(-1.0 / tau)
    shift = next(s for s in range(31, 15, -1) if round(share * 2.0**s) <= 1 << 16)
    return round(share * 2.0**shift), shift


def modulator_table() -> NDArray[np.uint64]:
    """The decay of a modulator within an epoch under shared rounding, as `decay_table(65535)`.

    Its D = exp(-1/65535) is written out: no computer's exponential takes part.
    """
    fraction, whole = np.modf(np.arange(129) * float.fromhex("0x1.fffdfffeffffbp-1"))
    table: NDArray[np.uint64] = (whole.astype(np.uint64) << np.uint64(54)) | (fraction * 2.0**53).astype(np.uint64)
    return table


@dataclass(frozen=True, slots=True)
class Rule:
    """A complete rule of a projection.

    Parameters
    ----------
    dw, dd, dt : tuple of Product
        Changes of the weight, of tag_2 (`d`) and of tag_1 (`t`).
    traces : dict
        Trace of each of x1, x2, y1, y2, y3 that is used.
    t_epoch : int
        Steps of an epoch, 1..64.
    seed : int
        Seed of the shared random streams.
    graded_trace : str
        How a graded source's payload enters x1: none, overwrite, add_saturate, add_wrap.
    modulators : tuple of str
        Names of the modulators that m1, m2, m3, m4 stand for.
    sum_shift : int
        `q` is the sum of a target's weights, shifted right by this, 0..31.
    """

    dw: tuple[Product, ...] = ()
    dd: tuple[Product, ...] = ()
    dt: tuple[Product, ...] = ()
    traces: dict[str, Trace] = field(default_factory=dict)
    t_epoch: int = 1
    seed: int = 0
    graded_trace: str = "none"
    modulators: tuple[str, ...] = ()
    sum_shift: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.t_epoch <= 64:
            raise ValidationError(f"epoch of {self.t_epoch} steps is outside 1..64")
        if not 0 <= self.seed < 2**32 - 3:
            raise ValidationError(f"rule seed {self.seed} is outside 0..2^32 - 4")
        if self.graded_trace not in GRADED_TRACES:
            raise ValidationError(f"graded_trace {self.graded_trace!r} is unknown; one of {', '.join(GRADED_TRACES)}")
        unknown = set(self.traces) - set(TRACES)
        if unknown:
            raise ValidationError(f"unknown traces {sorted(unknown)}; one of {', '.join(TRACES)}")
        used = self.variables
        missing = sorted(used & set(TRACES) - set(self.traces))
        if missing:
            raise ValidationError(f"the rule reads {', '.join(missing)} but gives no impulse and time constant for it")
        if self.graded_trace != "none" and ("x1" not in self.traces or self.traces["x1"].ii or self.traces["x1"].fi):
            raise ValidationError("a graded trace needs x1 with impulse 0: the payload takes its place")
        if len(self.modulators) > len(MODULATORS) or len(set(self.modulators)) != len(self.modulators):
            raise ValidationError(f"modulators {self.modulators}: a rule takes up to {len(MODULATORS)} different ones")
        unnamed = sorted(used & set(MODULATORS[len(self.modulators) :]))
        if unnamed:
            raise ValidationError(f"the rule reads {', '.join(unnamed)} but names {len(self.modulators)} modulators")
        if not 0 <= self.sum_shift <= SUM_SHIFT_MAX:
            raise ValidationError(f"sum_shift {self.sum_shift} is outside 0..{SUM_SHIFT_MAX}")

    @property
    def products(self) -> tuple[Product, ...]:
        """All products of dw, dd and dt."""
        return self.dw + self.dd + self.dt

    @property
    def variables(self) -> frozenset[str]:
        """All variables that factors read."""
        return frozenset(name for p in self.products for f in p.factors for name in f.variables)

    @property
    def has_tag_1(self) -> bool:
        """Whether synapses carry tag_1 (`t`)."""
        return bool(self.dt) or "t" in self.variables

    @property
    def has_tag_2(self) -> bool:
        """Whether synapses carry tag_2 (`d`)."""
        return bool(self.dd) or "d" in self.variables
