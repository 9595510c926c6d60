"""How a modulator is held in integers: fine steps, decay and its period, gains (docs/semantics.md, modulators)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuromorph import program
from neuromorph.errors import ValidationError
from neuromorph.passes.hold import SLOW_TAU_MAX, TOLERANCE, check_tau, compact, slow_decay
from neuromorph.program import GAIN_MAX
from neuromorph.report import Entry, compare_values

if TYPE_CHECKING:
    from neuromorph.graph import Modulator

__all__ = ["HeldModulator", "hold_modulator"]

READ_MAX = 127  # steps that rules can tell, at full scale
FRAC_MAX = 16


@dataclass(frozen=True, slots=True)
class HeldModulator:
    """A modulator in integers: `fine` machine units M, and `coarse` steps of what rules read, per physical unit."""

    made: program.Modulator
    fine: float
    coarse: float
    entries: tuple[Entry, ...]


def hold_modulator(modulator: Modulator, dt: float) -> HeldModulator:
    """Hold a modulator with as many fractional bits as its gains leave room for.

    Raises
    ------
    ValidationError
        A time constant or gain that would be over 5% off, with the way out.
    """
    where = f"modulator {modulator.name!r}"
    coarse = READ_MAX / modulator.full_scale
    gains = np.array([gain for _, gain in modulator.sources], dtype=float)
    largest = float(np.max(np.abs(gains), initial=0.0)) * coarse
    if largest > GAIN_MAX:
        raise ValidationError(
            f"{where}: a gain of {np.max(np.abs(gains)):g} beside a full scale of {modulator.full_scale:g} cannot be "
            f"held: at most {GAIN_MAX / coarse:g}; raise full_scale"
        )
    room = GAIN_MAX / largest if largest else np.inf
    frac = int(min(FRAC_MAX, np.floor(np.log2(room)) if np.isfinite(room) else FRAC_MAX))
    fine = coarse * 2.0**frac
    held = np.rint(gains * fine)
    entries = [compare_values(modulator.name, "full_scale", modulator.full_scale, READ_MAX / coarse)]
    for (name, gain), got in zip(modulator.sources, held, strict=True):
        if gain and abs(got / fine / gain - 1) > TOLERANCE:
            raise ValidationError(
                f"{where}: the gain {gain:g} of {name!r} is held as {got / fine:.3g}, over {TOLERANCE:.0%} off: it is "
                f"too small beside the largest gain or the full scale; the finest step is {1 / fine:.3g}. Use two "
                "modulators, or a smaller full_scale"
            )
        entries.append(compare_values(modulator.name, f"gain of {name}", gain, got / fine))
    smallest = float(np.min(np.abs(held[held != 0]), initial=np.inf))
    period, decay, tau, _ = slow_decay(modulator.tau, dt, smallest if np.isfinite(smallest) else 2.0**frac)
    if np.isfinite(modulator.tau):
        check_tau(f"{where}: tau", modulator.tau, tau, dt, SLOW_TAU_MAX)
        entries.append(compare_values(modulator.name, "tau", modulator.tau, tau, "s"))
    sources = tuple((name, int(got)) for (name, _), got in zip(modulator.sources, held, strict=True))
    made = program.Modulator(
        modulator.name, modulator.of, sources, modulator.mode, decay, period, frac,
        compact(np.asarray(modulator.init, float) * fine),
    )  # fmt: skip
    return HeldModulator(made, fine, coarse, tuple(entries))
