"""neuromorph compare."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from neuromorph.cli.common import json_option, print_json, profile_option, progress, seed_option, targets_option

if TYPE_CHECKING:
    from neuromorph.lockstep import Outcome, Run
    from neuromorph.models import Model
    from neuromorph.program import Program

_PATCH = re.compile(r"(?P<projection>[^:]+):(?P<pre>\d+):(?P<post>\d+):(?P<value>-?\d+)@(?P<target>.+)")


@dataclass(frozen=True, slots=True)
class Patch:
    """One weight of one target's program, to be changed."""

    projection: str
    pre: int
    post: int
    value: int
    target: str


def _read_patches(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Patch, ...]:
    """Patches from ``PROJECTION:PRE:POST:VALUE@TARGET``."""
    found = []
    for value in values:
        match = _PATCH.fullmatch(value)
        if match is None:
            message = f"{value!r} is not PROJECTION:PRE:POST:VALUE@TARGET, e.g. syn:12:7:40@cpu"
            raise click.BadParameter(message, ctx=ctx, param=param)
        part = match.groupdict()
        found.append(Patch(part["projection"], int(part["pre"]), int(part["post"]), int(part["value"]), part["target"]))
    return tuple(found)


@click.command("compare")
@click.argument("model", nargs=-1, required=True)
@targets_option("cpu:ref,cpu")
@click.option("--duration", type=float, help="Seconds of the network's time; the model's own by default, else 1.")
@profile_option
@seed_option
@click.option("--inputs", type=click.Path(dir_okay=False), help="Replay the inputs recorded in a trace (.npz).")
@click.option("--report", type=click.Path(dir_okay=False), help="Write a report (.html).")
@click.option("--plot", type=click.Path(dir_okay=False), help="Plot the rasters over each other (.png, .svg, .pdf).")
@click.option(
    "--patch-weight", "patches", callback=_read_patches, multiple=True, metavar="PROJECTION:PRE:POST:VALUE@TARGET",
    help="Change one weight (machine units) of the program of one target first: to see a difference found.",
)  # fmt: skip
@json_option
def command(
    model: tuple[str, ...],
    targets: tuple[str, ...],
    seed: int | None,
    patches: tuple[Patch, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Run MODEL on several targets and compare every spike, sample and final state with those of the first.

    With two MODELs, such as two images, the programs are compared too; the first one's inputs go to both.
    A target that is known to differ in a certain case, and says so where it occurs, is compared up to there. Exits 0 if
    all values are equal, 1 if any differs, 2 if it could not run.
    """
    from neuromorph import models
    from neuromorph.durations import steps_of
    from neuromorph.files import check_directory
    from neuromorph.lockstep import check
    from neuromorph.plots import check_plot

    for key in ("report", "plot"):
        if options[key]:
            check_directory(options[key])
    if options["plot"]:
        check_plot(options["plot"])
    images = {name for name in model if name.endswith(".nmi")}
    bound = images if len(images) < len(set(model)) else set()  # beside a network, the seed is the network's
    found = [models.find(name, None if name in bound else seed) for name in model]
    runs = _runs(found, targets, patches, options["profile"])
    first = found[0]
    program = runs[0].program
    steps = steps_of(first.seconds(options["duration"]), program.dt)
    if options["inputs"]:
        from neuromorph.trace import Trace

        stimulus = models.recorded_inputs(Trace.load(options["inputs"]), program)
    else:
        stimulus = first.stimulus(program, steps)
    with progress(as_json) as show:
        outcome = check(runs, steps, stimulus, show)
    print_json(outcome.to_dict()) if as_json else click.echo(text(outcome))
    _write(outcome, runs, options, _replay(model, targets, seed, patches, options))
    return 0 if outcome.equal else 1


def _runs(found: list[Model], targets: tuple[str, ...], patches: tuple[Patch, ...], profile: str | None) -> list[Run]:
    """Every model on every target, compiled once for all of them."""
    from neuromorph.lockstep import Run
    from neuromorph.open import open as open_session
    from neuromorph.targets import find

    unknown = [patch.target for patch in patches if patch.target not in targets]
    if unknown:
        raise click.UsageError(f"--patch-weight names {unknown[0]!r}, which is not among --targets")
    for name in targets:
        if find(name)[1].numbers != "integer":
            raise click.UsageError(f"{name} computes in floats: it has no bits to compare with an integer machine")
    runs = []
    for model in found:
        program = model.compile(targets, profile=profile)
        for target in targets:
            patched, marks = _patched(program, target, patches)
            label = f"{model.name}@{target}" if len(found) > 1 else target
            runs.append(Run(label + marks, patched, partial(open_session, patched, target)))
    return runs


def _patched(program: Program, target: str, patches: tuple[Patch, ...]) -> tuple[Program, str]:
    from neuromorph.models import with_weight

    mine = [patch for patch in patches if patch.target == target]
    for patch in mine:
        program = with_weight(program, patch.projection, patch.pre, patch.post, patch.value)
    return program, " (patched)" if mine else ""


def _replay(
    model: tuple[str, ...],
    targets: tuple[str, ...],
    seed: int | None,
    patches: tuple[Patch, ...],
    options: dict[str, Any],
) -> str:
    """The command that repeats this comparison."""
    import shlex

    words = ["neuromorph", "compare", *model, "--targets", ",".join(targets)]
    if seed is not None:
        words += ["--seed", str(seed)]
    for key in ("profile", "duration", "inputs"):
        if options[key] is not None:
            words += [f"--{key}", str(options[key])]
    for p in patches:
        words += ["--patch-weight", f"{p.projection}:{p.pre}:{p.post}:{p.value}@{p.target}"]
    return shlex.join(words)


def _write(outcome: Outcome, runs: list[Run], options: dict[str, Any], replay: str) -> None:
    if options["report"]:
        from neuromorph.files import write_atomic
        from neuromorph.html import comparison

        write_atomic(options["report"], comparison(outcome, runs[0].program, replay).encode())
    if options["plot"]:
        difference = outcome.differences[max(outcome.astray - 1, 0)]
        replace(difference, first=outcome.first).plot(options["plot"])


def text(outcome: Outcome) -> str:
    """The verdict for people."""
    lines = []
    for label, difference in zip(outcome.labels[1:], outcome.differences, strict=True):
        verdict = "equal" if difference.equal else "DIFFERENT"
        lines.append(f"{outcome.labels[0]} and {label}: {verdict}, {difference.values_compared} values compared")
        lines.extend(f"  {name}: {count} values differ" for name, count in difference.count.items())
        if label in outcome.allowed:
            lines.append(f"  compared up to step {difference.b.stop}, where it stopped: a known and allowed difference")
            lines.append(f"  {outcome.allowed[label]}")
    if outcome.first is None:
        lines.append(f"equal: {', '.join(outcome.labels)} over {outcome.steps} steps")
        if outcome.changes:
            lines.append(f"the programs differ, which no value of this run shows: {outcome.changes}")
        return "\n".join(lines)
    lines.append(f"first difference: {outcome.first}   ({outcome.labels[0]} / {outcome.labels[outcome.astray]})")
    if outcome.changes:
        lines.append(f"the programs differ: {outcome.changes}")
    return "\n".join(lines)
