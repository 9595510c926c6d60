"""The lab: phenomena of neural plasticity as experiments that run by name, each with bars and controls.

One module, one experiment: a short script of the public API. ``neuromorph lab list`` shows them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from pathlib import Path

from neuromorph.errors import ValidationError
from neuromorph.lab.base import Enough, Experiment, Machine, Outcome, Record, Size, check
from neuromorph.validate import nearest

__all__ = ["Compared", "Experiment", "Machine", "Outcome", "compare", "experiments", "find", "run", "size_for"]

FRAME = ("__init__", "base")


def experiments() -> tuple[str, ...]:
    """Names of all experiments; nothing of them is imported."""
    stems = (path.stem for path in sorted(Path(__file__).parent.glob("*.py")))
    return tuple(stem.replace("_", "-") for stem in stems if stem not in FRAME)


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises
    ------
    ValidationError
        There is none.
    """
    known = experiments()
    if name not in known:
        raise ValidationError(f"no experiment {name!r}; {nearest(name, known)} (`neuromorph lab list` shows them)")
    experiment: Experiment = import_module(f"{__name__}.{name.replace('-', '_')}").EXPERIMENT
    check(experiment)
    return experiment


def size_for(target: str) -> Size:
    """The size that fits a target: "board" for microcontrollers and for the slow reference, else "full"."""
    return "board" if target.startswith(("mcu", "cpu:ref", "loihi:")) else "full"


def run(name: str, machine: Machine) -> Outcome:
    """Run an experiment and its controls; `Outcome.passed` says whether all bars hold."""
    return find(name).run(machine)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison of machines gave.

    Attributes
    ----------
    steps, runs : int
        Steps that each machine did, in how many runs.
    differences : tuple of str
        What differs: machine, run, first difference. Empty if all are equal.
    """

    steps: int
    runs: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def compare(
    name: str, machines: list[Machine], condition: str | None = None, steps: int | None = None
) -> Compared:  # fmt: skip
    """Run one condition of an experiment on several machines and compare every probe and the state after each run.

    Parameters
    ----------
    name : str
        The experiment.
    machines : list of Machine
        At least two; the first is what the others are compared with. All must be of one size and compile for the same
        targets.
    condition : str, optional
        A control; the experiment itself if not given.
    steps : int, optional
        As many steps: the first of the experiment, with the inputs of the whole; where it has fewer its controls
        follow, then all of it again with weights and rounding of other seeds. The experiment once if not given.
    """
    if steps is not None and steps < 1:
        raise ValidationError(f"steps = {steps}: compare at least 1 step, or leave it out for the whole experiment")
    if len(machines) < 2:
        raise ValidationError("a comparison needs at least two machines; `lab.run` runs an experiment on one")
    experiment, taken = find(name), []
    parts = (condition,) if condition or steps is None else (None, *experiment.controls)
    for machine in machines:
        records: list[Record] = []
        where = replace(machine, records=records, most=steps)
        rounds = range(1) if steps is None else count()
        with suppress(Enough):
            for again, part in ((again, part) for again in rounds for part in parts):
                experiment.measure(replace(where, condition=part or "experiment", again=again), part)
        taken.append(records)
    first = taken[0]
    found = []
    for machine, records in zip(machines[1:], taken[1:], strict=True):
        pair = f"{machines[0].target} and {machine.target}"
        if len(records) != len(first):
            found.append(f"{pair}: {len(first)} and {len(records)} runs")
        for k, (a, b) in enumerate(zip(first, records, strict=False)):
            found += [f"{pair}, run {k + 1} ({a.condition}): {line}" for line in _differences(a, b)]
    return Compared(sum(record.trace.steps for record in first), len(first), tuple(found))


def _differences(a: Record, b: Record) -> list[str]:
    import numpy as np

    from neuromorph.compare import compare as compare_traces

    difference = compare_traces(a.trace, b.trace)
    found = [] if difference.equal else [difference.explain()]
    for item in sorted(a.state.keys() | b.state.keys()):
        if item not in a.state or item not in b.state or not np.array_equal(a.state[item], b.state[item]):
            found.append(f"state {item} differs after step {a.trace.stop}")
    return found
