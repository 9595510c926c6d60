"""Energy and time of a run on the chip, estimated from what the run did by published figures per event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuromorph.report import Section
from neuromorph_loihi.chips import LOIHI_2
from neuromorph_loihi.placement import Placement, place

if TYPE_CHECKING:
    from neuromorph.program import Program
    from neuromorph_loihi.chips import Chip

__all__ = ["COSTS", "SOURCE", "Cost", "Estimate", "estimate", "estimate_placed"]

SOURCE = (
    "figures of Loihi 1: SANA-FE, arch/loihi.yaml (github.com/SLAM-Lab/SANA-FE, 8951ab0, 2026), which it finds within "
    "12% (energy) and 25% (time) of the chip; plastic updates: pairwise STDP in Davies et al. 2018, table 2"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Energy in joules and time in seconds of one event."""

    energy: float
    time: float


COSTS = {
    "neuron updates": Cost(51.2e-12 + 21.6e-12, 6.0e-9 + 3.7e-9),  # access and update: every neuron, every step
    "spikes of neurons": Cost(69.3e-12, 30.0e-9),
    "messages": Cost(111.0e-12, 5.1e-9),
    "messages received": Cost(0.0, 16.0e-9),
    "synaptic events": Cost(35.5e-12, 3.8e-9),
    "plastic updates": Cost(120e-12, 6.1e-9),
    "hops along rows": Cost(3.0e-12, 4.1e-9),
    "hops along columns": Cost(4.2e-12, 6.5e-9),
}
"""By event; `SOURCE` says whose figures."""
BARRIERS = ((29, 1.8e-6), (4, 1.4e-6), (2, 1.0e-6), (0, 0.6e-6))
"""Seconds of the barrier between steps, from so many tiles on."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run costs on the chip.

    Attributes
    ----------
    target, model : str
        The target and the chip.
    steps, cores, chips : int
        Of the run and its placement.
    counts, energies : dict
        Events, and joules that they take, by the names in `COSTS`.
    energy, time : float
        Joules and seconds in all.
    """

    target: str
    model: str
    steps: int
    cores: int
    chips: int
    counts: dict[str, float]
    energies: dict[str, float]
    energy: float
    time: float

    @property
    def notes(self) -> tuple[str, ...]:
        """What this is, and where the figures come from."""
        other = "" if self.model == "Loihi 1" else f"; none are published for {self.model}"
        return (
            f"An estimate for {self.model}, not a measurement: {SOURCE}{other}.",
            "Energy of the neuron cores' events alone: no idle power, embedded processors or links between chips.",
            "Messages and hops: from the synaptic events and the mean of the placement; time: the busiest core, if all "
            "neurons are equally active, and the barrier.",
        )

    def section(self) -> Section:
        """As a table; also for JSON."""
        rows: list[tuple[str | int | float, ...]] = [
            (name, round(count), COSTS[name].energy * 1e12, self.energies[name] * 1e9)
            for name, count in self.counts.items()
        ]
        each = self.time / self.steps if self.steps else 0.0
        rows.append(("energy in all", "", "", self.energy * 1e9))
        rows.append(("time of a step, us", "", "", each * 1e6))
        where = f"{_counted(self.cores, 'core')} of {_counted(self.chips, 'chip')}, {self.model}"
        title = f"Estimated cost of {self.steps} steps on {where}"
        return Section(self.target, title, ("event", "count", "pJ each", "nJ"), tuple(rows), self.notes)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def estimate(program: Program, counters: Mapping[str, int], steps: int, chip: Chip = LOIHI_2) -> Estimate:
    """Energy and time that a run of a program would take on the chip.

    Parameters
    ----------
    program : Program
        What ran.
    counters : mapping
        Work done in the run, as `Trace.counters` has it: spikes, synaptic_events, plastic_updates, and input_spikes,
        the part of the spikes that came from inputs (0 if it is not told).
    steps : int
        Steps of the run.
    chip : Chip
        For the placement; the figures per event are those of Loihi 1.

    Raises
    ------
    CapacityError
        The chip cannot hold the program.
    """
    return estimate_placed(place(program, chip), counters, steps)


def estimate_placed(placement: Placement, counters: Mapping[str, int], steps: int) -> Estimate:
    """As `estimate`, for a placement that is there already."""
    events, updates = counters["synaptic_events"], counters["plastic_updates"]
    messages = events * placement.axons / max(placement.synapses, 1)
    counts: dict[str, float] = {
        "neuron updates": placement.neurons * steps,
        "spikes of neurons": counters["spikes"] - counters.get("input_spikes", 0),
        "messages": messages, "synaptic events": events, "plastic updates": updates,
        "hops along rows": messages * placement.columns, "hops along columns": messages * placement.rows,
    }  # fmt: skip
    energies = {name: count * COSTS[name].energy for name, count in counts.items()}
    return Estimate(
        placement.chip.target, placement.chip.model, steps, len(placement.cores), placement.chips, counts, energies,
        sum(energies.values()), _time(placement, counts, steps),
    )  # fmt: skip


def _time(placement: Placement, counts: Mapping[str, float], steps: int) -> float:
    """The busiest core's work, the flight of one message per step, and the barriers."""
    learned = sum(core.synapses for core in placement.cores if core.learning)

    def work(name: str, part: float, whole: float) -> float:
        return COSTS[name].time * (counts["messages" if name == "messages received" else name] * part / max(whole, 1))

    busiest = max(
        (
            work("neuron updates", core.compartments, placement.neurons)
            + work("spikes of neurons", core.compartments, placement.neurons)
            + work("messages", core.output_axons, placement.axons)
            + work("messages received", core.axons, placement.axons)
            + work("synaptic events", core.synapses, placement.synapses)
            + work("plastic updates", core.synapses * core.learning, learned)
            for core in placement.cores
        ),
        default=0.0,
    )
    flight = placement.columns * COSTS["hops along rows"].time + placement.rows * COSTS["hops along columns"].time
    barrier = next(time for tiles, time in BARRIERS if placement.tiles >= tiles)
    return busiest + steps * (flight + barrier)
