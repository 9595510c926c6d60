"""Short-term plasticity: synapses tire and facilitate from spike to spike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuromorph.distributions import Distribution
from neuromorph.errors import ValidationError
from neuromorph.parameters import Limit, described, values
from neuromorph.plasticity.base import require

__all__ = ["USE", "ShortTermPlasticity"]

USE = Limit(0.0, 1.0, open=True, hint="U is the share of its resources that a synapse releases at a spike")
"""Range of U."""


@described
@dataclass(frozen=True)
class ShortTermPlasticity:
    """Release probability u and resources x of each synapse, after Tsodyks, Pawelzik and Markram.

    Between spikes ``tau_rec x' = 1 - x`` and ``tau_facil u' = -u``. At a spike of the source first ``u += U (1 - u)``,
    then ``e = u x`` is released, ``x -= e``, and the target gets ``w e``. It starts with u = 0 and x = 1, so that the
    first spike delivers ``w U``. Large U and tau_rec depress, small U and a long tau_facil facilitate.

    Parameters
    ----------
    U : float, array or distribution
        Use of the resources at a spike that follows a long silence, > 0 and <= 1. Arrays as for the weights.
    tau_rec : float
        Time constant of the recovery of x in seconds, >= 0; 0: x recovers at once.
    tau_facil : float
        Time constant of u in seconds, >= 0; 0: u forgets at once, so that it is U at each spike.
    learned_use : bool
        Whether a rule changes U for good: tag_2 of the projection's rule (`Custom` with ``dd``) is added to U in steps
        of 1/256.

    Notes
    -----
    u, x and U have 15 bits, e 12 (docs/semantics.md, 3.1). Probes: "stp_u", "stp_x", as they were left by the last
    spike.
    Source: Tsodyks, Pawelzik and Markram (1998), Neural Computation 10:821. Targets: those that have short-term
    plasticity.

    Examples
    --------
    >>> from neuromorph.units import ms
    >>> depressing = ShortTermPlasticity(U=0.5, tau_rec=800 * ms)
    >>> facilitating = ShortTermPlasticity(U=0.05, tau_rec=125 * ms, tau_facil=1200 * ms)
    """

    U: Any
    tau_rec: float
    tau_facil: float = 0.0
    learned_use: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.U, Distribution):
            values("ShortTermPlasticity.U", np.ravel(self.U) if np.ndim(self.U) else self.U, USE)
        require(self, "tau_rec", 0.0, closed=True, unit="s")
        require(self, "tau_facil", 0.0, closed=True, unit="s")
        if not isinstance(self.learned_use, bool):
            raise ValidationError(f"ShortTermPlasticity.learned_use = {self.learned_use!r}: True or False is needed")
