"""neuromorph lab: experiments of neural plasticity."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from neuromorph.cli.common import json_option, print_json, progress, targets_option

if TYPE_CHECKING:
    from neuromorph.lab import Outcome
    from neuromorph.lab.base import Size
    from neuromorph.progress import Progress

REFUSED = 2
SIZE = click.option(
    "--size", type=click.Choice(["full", "board"]), help="In full, or as much as a board holds; fits the target."
)


@click.group("lab")
def command() -> None:
    """Experiments of neural plasticity: each meets its bars, and misses them without its mechanism."""


@command.command("list")
@json_option
def list_experiments(as_json: bool) -> None:
    """List the experiments."""
    from neuromorph import lab

    found = sorted((lab.find(name) for name in lab.experiments()), key=lambda e: (e.table, e.name))
    if as_json:
        print_json([{"name": e.name, "table": e.table, "title": e.title, "source": e.source} for e in found])
        return
    for experiment in found:
        click.echo(f"{experiment.table}  {experiment.name:<22} {experiment.title}")


@command.command("run")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Run all experiments.")
@click.option("--target", default="cpu", show_default=True, help="Machine to run on (neuromorph targets).")
@SIZE
@click.option("--plot", type=click.Path(dir_okay=False), help="Draw the picture (.png, .svg, .pdf).")
@json_option
def run(name: str | None, every: bool, target: str, size: Size | None, plot: str | None, as_json: bool) -> int:
    """Run the experiment NAME and its controls on a target.

    Exit status 0 if all bars were met, and missed by the controls; 1 if not; 2 if it could not run. With --all, what
    the target cannot hold is said by name and is no failure, unless it holds none.
    """
    from neuromorph import lab

    if (name is None) == (not every):
        raise click.UsageError("give the NAME of one experiment, or --all (neuromorph lab list)")
    if plot and every:
        raise click.UsageError("--plot draws one experiment: give its NAME")
    if plot:
        from neuromorph.plots import check_plot

        check_plot(plot)
    names = lab.experiments() if every else (str(name),)
    with progress(as_json) as bar:
        rows = [_one(each, target, size, plot, as_json, bar) for each in names]
    if as_json:
        print_json(rows if every else rows[0])
    verdicts = [row["passed"] for row in rows if row["passed"] is not None]
    if not verdicts:
        return REFUSED
    return 0 if all(verdicts) else 1


def _one(
    name: str, target: str, size: Size | None, plot: str | None, as_json: bool, bar: Progress | None
) -> dict[str, Any]:
    """Run one: its row for JSON, `passed` None where the target cannot hold it."""
    from neuromorph import lab
    from neuromorph.errors import CapacityError, UnsupportedError

    began = time.monotonic()
    show = (lambda what, done, total: bar(f"{name}, {what}", done, total)) if bar else None
    try:
        outcome = lab.run(name, lab.Machine(target, size or lab.size_for(target), progress=show))
    except (CapacityError, UnsupportedError) as error:
        if not as_json:
            click.echo(f"{name} on {target}: refused: {error}")
        return {
            "name": name, "target": target, "size": size or lab.size_for(target), "passed": None, "measures": {},
            "bar": [bar.to_dict() for bar in lab.find(name).bars], "control": {}, "refused": str(error),
        }  # fmt: skip
    if plot:
        outcome.picture(plot)
    if not as_json:
        click.echo(text(outcome) + f"\n  ({time.monotonic() - began:.0f} s)" + (f"\nwrote {plot}" if plot else ""))
    return outcome.to_dict()


def text(outcome: Outcome) -> str:
    """The verdicts in words."""
    word = "passed" if outcome.passed else "FAILED"
    lines = [f"{outcome.experiment.name} on {outcome.target}, {outcome.size}: {word}"]
    for verdict in outcome.verdicts:
        bar, sign = verdict.bar, "ok" if verdict.good else "BAD"
        if verdict.condition == "experiment":
            lines.append(f"  {sign:<4}{bar.text}: {bar.measure} = {verdict.value:.4g}, {bar.relation} {bar.limit:g}")
    for control in outcome.experiment.controls:
        missed = [v for v in outcome.verdicts if v.condition == control]
        sign = "ok" if all(v.good for v in missed) else "BAD"
        values = ", ".join(f"{v.bar.measure} = {v.value:.4g}{'' if v.good else ' (met!)'}" for v in missed)
        lines.append(f"  {sign:<4}control {control!r} must miss: {values}")
    return "\n".join(lines)


@command.command("compare")
@click.argument("name")
@targets_option("cpu:ref,cpu,mcu")
@click.option("--size", type=click.Choice(["full", "board"]), default="board", show_default=True, help="As for run.")
@click.option("--steps", type=click.IntRange(min=1), help="As many: the first of it, or with controls and repeats.")
@json_option
def compare(name: str, targets: tuple[str, ...], size: Size, steps: int | None, as_json: bool) -> int:
    """Run the experiment NAME on several machines and compare each probe, and all state after each run.

    With --steps as many as that: the first of the experiment; where it has fewer its controls follow, then all of it
    again with weights and rounding of other seeds. Without, the experiment once.

    Exit status 0 if all values are equal, 1 if not, 2 if it could not run.
    """
    from neuromorph import lab

    with progress(as_json) as bar:
        machines = [lab.Machine(target, size, held_by=targets, progress=bar) for target in targets]
        found = lab.compare(name, machines, steps=steps)
    if as_json:
        print_json({
            "name": name, "targets": list(targets), "size": size, "steps": found.steps, "runs": found.runs,
            "equal": found.equal, "differences": list(found.differences),
        })  # fmt: skip
    elif found.equal:
        click.echo(f"equal: {name} on {', '.join(targets)}, {found.steps:,} steps: every probe, all state")
    else:
        click.echo("\n".join(found.differences) + f"\nnot equal: {name}, {found.steps:,} steps")
    return 0 if found.equal else 1
