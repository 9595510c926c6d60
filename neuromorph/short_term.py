"""Short-term plasticity of a projection in integers (docs/semantics.md, 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError

__all__ = ["FACTORS", "ONE", "SINCE_MAX", "USE_MAX", "ShortTerm", "factors"]

Ints = NDArray[np.int64]
ONE = 1 << 15  # of u, x and the factors
USE_MAX = ONE - 1
FACTORS = 16
SINCE_MAX = (1 << FACTORS) - 1


def factors(tau: float) -> tuple[int, ...]:
    """What 2^k steps leave of a state that decays with `tau` steps, k = 0..15, `ONE` for all of it; tau 0: nothing."""
    if tau == 0:
        return (0,) * FACTORS
    return tuple(round(ONE * float(np.exp(-(2.0**k) / tau))) for k in range(FACTORS))


@dataclass(frozen=True, eq=False)
class ShortTerm:
    """Release of transmitter: `use` (0..32767) of a spike, and how u and x return, as `factors`.

    Attributes
    ----------
    use : int or array
        U, one for all or in the shape of the weights.
    recovery, facilitation : tuple of int
        What 2^k steps leave of ``1 - x`` and of u, 16 numbers of 0..32768.
    learned_use : bool
        tag_2 is added to U, in steps of 1/256.
    """

    use: int | Ints
    recovery: tuple[int, ...]
    facilitation: tuple[int, ...]
    learned_use: bool = False

    def __post_init__(self) -> None:
        use = np.asarray(self.use)
        if use.dtype.kind not in "iu" or (use.size and not 0 <= use.min() <= use.max() <= USE_MAX):
            raise ValidationError(f"short-term plasticity: use must be integers of 0..{USE_MAX}")
        for name in ("recovery", "facilitation"):
            values = getattr(self, name)
            if len(values) != FACTORS or not all(0 <= value <= ONE for value in values):
                raise ValidationError(f"short-term plasticity: {name} has {FACTORS} numbers of 0..{ONE}")
        object.__setattr__(self, "use", int(use) if use.ndim == 0 else use.astype(np.int64))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ShortTerm):
            return NotImplemented
        same = self.recovery, self.facilitation, self.learned_use, np.shape(self.use)
        others = other.recovery, other.facilitation, other.learned_use, np.shape(other.use)
        return same == others and bool(np.all(self.use == other.use))

    def __hash__(self) -> int:
        return hash((self.recovery, self.facilitation, self.learned_use))

    def left(self, steps: int) -> tuple[int, int]:
        """What a number of steps leave of ``1 - x`` and of u."""
        rest = [ONE, ONE]
        for k in range(FACTORS):
            if steps >> k & 1:
                pair = (self.recovery[k], self.facilitation[k])
                rest = [(held * factor + (ONE >> 1)) >> 15 for held, factor in zip(rest, pair, strict=True)]
        return rest[0], rest[1]
