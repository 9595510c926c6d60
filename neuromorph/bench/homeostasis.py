"""What an adaptive threshold and synaptic scaling add to a step of N3, whose synapses learn by plain pair STDP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import neuromorph as nm
from neuromorph.bench.measure import Measurement, measure_network
from neuromorph.bench.networks import benchmark
from neuromorph.plasticity import STDP, SynapticScaling, ThresholdAdaptation
from neuromorph.progress import Progress
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from neuromorph.program import Program
    from neuromorph.rule import Rule

__all__ = ["PERIOD", "Overhead", "homeostatic", "overhead"]

PERIOD = 1024
"""Steps between two changes by the scaling: the 1 s of `SynapticScaling.period`, in whole powers of two."""
INCREMENT = 0.004  # of the threshold: 0.05 mV of 13 mV (Diehl and Cook 2015)
SCALING = SynapticScaling(rate="rate", target=8 * Hz, speed=0.05)  # cells fire at 8 Hz without it, too


@dataclass(frozen=True, slots=True)
class Overhead:
    """The same steps without and with homeostasis.

    Attributes
    ----------
    plain, both : Measurement
        N3, and N3 with an adaptive threshold and synaptic scaling.
    """

    plain: Measurement
    both: Measurement

    @property
    def share(self) -> float:
        """What homeostasis adds to a step: of instructions on boards, of CPU time elsewhere."""
        return _cost(self.both) / _cost(self.plain) - 1

    def text(self) -> str:
        """A line for people."""
        unit = "us CPU" if self.plain.instructions_per_step is None else "instructions"
        return (
            f"N3 on {self.plain.target}, {self.plain.steps} steps: {_cost(self.plain):,.1f} {unit} per step, with "
            f"adaptive threshold and synaptic scaling {_cost(self.both):,.1f} ({self.share:+.1%}); plastic updates "
            f"{self.plain.plastic_updates:,} and {self.both.plastic_updates:,}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"share": self.share, "plain": self.plain.to_dict(), "both": self.both.to_dict()}


def _cost(row: Measurement) -> float:
    return row.cpu_us_per_step if row.instructions_per_step is None else row.instructions_per_step


def overhead(target: str = "mcu:m4", scale: float = 1.0, progress: Progress | None = None) -> Overhead:
    """Measure N3 without and with homeostasis, from step 1 to the end of a period of the scaling (1024 steps).

    Parameters
    ----------
    target : str
        Any integer target.
    scale : float
        Share of the neurons, for machines that cannot hold the whole network.
    progress : callable, optional
        As for `measure`.

    Raises
    ------
    CapacityError
        The target cannot hold it.
    """
    plain = benchmark("N3", scale)
    both = replace(plain, program=homeostatic(plain.program))
    rows = [measure_network(network, target, scale=scale, steps=PERIOD, progress=progress) for network in (plain, both)]
    return Overhead(*rows)


def homeostatic(program: Program) -> Program:
    """N3 with what the compiler makes of `INCREMENT`, over 2 s, and of `SCALING` in a small network."""
    net = nm.Network(name="donor", dt=1 * ms, seed=1)
    source = net.input(1, name="source")
    lif = nm.LIF(tau_m=20 * ms, tau_s=5 * ms, homeostasis=ThresholdAdaptation(INCREMENT, tau=2.0))
    cells = net.population(1, lif, name="cells")
    net.rate(cells, tau=5.0, full_scale=100 * Hz, name="rate")
    learning = STDP(0.01, 0.01, 20 * ms, 20 * ms, w_max=0.3) + SCALING
    net.connect(source, cells, weights=0.1, plasticity=learning, name="syn")
    donor = nm.compile(net, target="cpu")
    held, own, plastic = donor.populations["cells"], program.populations["cells"], program.projections["plastic"]
    learned, rule = cast("Rule", donor.projections["syn"].rule), cast("Rule", plastic.rule)
    adapting = replace(
        own, adaptive=True, theta_frac=held.theta_frac, theta_decay=held.theta_decay, theta_period=held.theta_period,
        theta_inc=round(INCREMENT * (int(own.vth) << 6 << held.theta_frac)),
    )  # fmt: skip
    slow = tuple(p for p in learned.dw if p.dependency == "u")
    scaled = replace(rule, dw=(*rule.dw, *slow), modulators=learned.modulators)
    return replace(
        program, name="N3, homeostatic", populations={**program.populations, "cells": adapting},
        projections={**program.projections, "plastic": replace(plastic, rule=scaled)}, modulators=donor.modulators,
    )  # fmt: skip
