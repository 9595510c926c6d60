"""The scale of a population (machine units per unit of v) and the exponents of its inputs, chosen together.

``v_int = K v``; a weight w is held as ``W 2^exp 64 = K gain w``. K comes from the family ``2^(c + k)``: the fraction c
makes the weights exact, the whole k is the largest for which no sum of currents can wrap the 24 bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.program import VTH_MAX, U

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CURRENT_MAX", "EXP_MAX", "EXP_MIN", "Incoming", "Scale", "choose_scale", "column_sums", "peak_current"]

CURRENT_MAX = U - 1
VTH_WANTED = 256  # smaller thresholds are coarse
EXP_MIN, EXP_MAX = -16, 15
NEGLIGIBLE = 2.0**-40  # beside the threshold: all such weights are held as 0


@dataclass(frozen=True, slots=True)
class Incoming:
    """A projection as its target's current sees it; `strength` of a weight is ``gain w``, in units of v.

    Attributes
    ----------
    name : str
        The projection.
    plastic : bool
        Whether every weight may reach the end of the range.
    largest : float
        Strength that the end of the range should stand for.
    top : int
        End of the range that can be held on both sides: 255, or 254 for even weights.
    slack : float
        Rounding of one weight in machine units.
    positive, negative, count : array (n_post,)
        Sums of strengths by sign and numbers of synapses, each synapse counted `accumulate * payload` times.
    extra : array (n_post,)
        Floor of a right shift: one unit for each delay, accumulated.
    once : array (n_post,)
        Share of these sums that can arrive in a single step.
    signs : str
        Sign mode.
    """

    name: str
    plastic: bool
    largest: float
    top: int
    slack: float
    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    count: NDArray[np.float64]
    extra: NDArray[np.float64]
    once: NDArray[np.float64]
    signs: str

    def exponent(self, scale: float) -> int:
        """Smallest exponent that does not saturate; of a plastic projection the one that is nearest to exact."""
        if self.largest == 0:
            return 0
        bits = math.log2(self.largest * scale / (64 * self.top))
        # 1e-9: an exact fit must not be pushed to the next exponent by float rounding.
        return min(max(round(bits) if self.plastic else math.ceil(bits - 1e-9), EXP_MIN), EXP_MAX)

    def reach(self, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds of the positive and the negative current (machine units of u) if every source always spikes."""
        exponent = self.exponent(scale)
        unit = 64 * 2.0**exponent
        extra = 64 * self.extra * (exponent < 0)
        if self.plastic:
            full = unit * (256 if self.signs == "mixed" else 255) * self.count + extra
            nothing = np.zeros_like(full)
            return (nothing if self.signs == "inh" else full), (nothing if self.signs == "exc" else full)
        slack = unit * self.slack * self.count + extra
        return self.positive * scale + slack, self.negative * scale + slack


@dataclass(frozen=True, slots=True)
class Scale:
    """The choice: `k_scale` machine units per unit of v, and the exponents by projection."""

    k_scale: float
    exponents: dict[str, int]


def column_sums(
    weights: NDArray[np.float64], indices: NDArray[np.int64] | None, n_post: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Over the sources, for each target: sums of positive and of negative weights (as sizes), number that are not 0."""
    parts = (np.maximum(weights, 0), np.maximum(-weights, 0), (weights != 0).astype(float))
    if indices is None:
        positive, negative, count = (p.sum(axis=0) for p in parts)
    else:
        positive, negative, count = (np.bincount(indices, p, minlength=n_post) for p in parts)
    return positive, negative, count


def peak_current(incoming: list[Incoming], scale: float, *, once: bool = False) -> tuple[float, float]:
    """The largest positive and negative current that any neuron could see, as sizes in machine units of u.

    `once`: that could arrive in a single step.
    """
    reaches = [(i.reach(scale), i.once if once else 1.0) for i in incoming]
    positive, negative = (sum((reach[side] * share for reach, share in reaches), np.zeros(1)) for side in (0, 1))
    return float(np.max(positive)), float(np.max(negative))


def choose_scale(
    incoming: list[Incoming], v_th: float, v_low: float, limit: float, *, start: float, room: int,
    input_max: float = math.inf, exponents: tuple[int, int] = (EXP_MIN, EXP_MAX),
) -> Scale:  # fmt: skip
    """Choose K and exponents.

    Parameters
    ----------
    incoming : list
        All projections into the population.
    v_th, v_low : float
        Largest and smallest positive threshold (equal if there is one).
    limit : float
        Largest K that initial values and bias allow.
    start : float
        Initial current, in machine units per K.
    room : int
        Thresholds stay under ``2^17 / room``: above them v and theta need space.
    input_max : float
        What may arrive in a step, in machine units of u; kept to if some K does, else left to a warning.
    exponents : (int, int)
        Lowest and highest exponent; kept to if some K does, else left to the target to refuse.
    """
    hard = min(limit, 64 * VTH_MAX / v_th)
    soft = min(limit, 64 * (VTH_MAX // room) / v_th)
    fraction = _fraction(incoming, v_th)
    top = math.floor(math.log2(soft) - fraction + 1e-9)
    wanted = math.ceil(math.log2(64 * VTH_WANTED / v_low) - fraction - 1e-9)
    lowest = min(wanted, top)
    if wanted > top and 2.0 ** (fraction + wanted) <= hard:
        lowest = top = wanted
    scales = {k: 2.0 ** (fraction + k) for k in range(top, lowest - 1, -1)}
    fit = [k for k, s in scales.items() if max(peak_current(incoming, s)) + start * s <= CURRENT_MAX]
    low, high = exponents
    held = [k for k in fit if all(low <= i.exponent(scales[k]) <= high for i in incoming)] or fit
    arrive = [k for k in held if max(peak_current(incoming, scales[k], once=True)) <= input_max]
    chosen = max(arrive or held, default=lowest)
    scale = 2.0 ** (fraction + chosen)
    return Scale(scale, {i.name: i.exponent(scale) for i in incoming})


def _fraction(incoming: list[Incoming], v_th: float) -> float:
    """log2 of K modulo 1: best for the plastic projections, else exact for the widest static one, else for v_th."""
    used = [i for i in incoming if i.largest > v_th * NEGLIGIBLE]
    plastic = [i for i in used if i.plastic]
    if not used:
        return math.log2(64 / v_th) % 1.0
    if not plastic:
        widest = max(used, key=lambda i: i.largest)
        return math.log2(64 * widest.top / widest.largest) % 1.0
    exact = np.array([math.log2(64 * i.top / i.largest) % 1.0 for i in plastic])
    # The best compromise on the circle of fractions lies at one of them or half way between two.
    middle = (exact[:, None] + exact[None, :]) / 2
    candidates = np.concatenate([exact, middle.ravel(), (middle.ravel() + 0.5) % 1.0])
    distance = np.abs((candidates[:, None] - exact[None, :] + 0.5) % 1.0 - 0.5)
    return float(candidates[int(np.argmin(distance.max(axis=1)))])
