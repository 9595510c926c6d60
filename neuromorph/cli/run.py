"""neuromorph run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from neuromorph.cli.common import json_option, print_json, profile_option, progress, seed_option

if TYPE_CHECKING:
    from neuromorph.models import Model
    from neuromorph.program import Program
    from neuromorph.report import Section
    from neuromorph.session import Session
    from neuromorph.stimulus import Stimulus
    from neuromorph.trace import Trace


@click.command("run")
@click.argument("model", required=False)
@click.option("--target", default="cpu", show_default=True, help="Machine to run on (neuromorph targets).")
@click.option("--duration", type=float, help="Seconds of the network's time; the model's own by default, else 1.")
@click.option(
    "--pace",
    type=click.Choice(["free", "real"]),
    default="free",
    show_default=True,
    help="free: as fast as it goes; real: by the clock of a board, which drops what the line cannot take.",
)
@click.option("--period", type=float, metavar="SECONDS", help="Of a step at pace real; dt by default.")
@profile_option
@seed_option
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write the trace (.npz).")
@click.option("--plot", type=click.Path(dir_okay=False), help="Plot the trace (.png, .svg, .pdf).")
@click.option("--inputs", type=click.Path(dir_okay=False), help="Replay the inputs recorded in a trace (.npz).")
@click.option("--load-state", type=click.Path(dir_okay=False), help="Begin from a saved state (.nms).")
@click.option("--save-state", type=click.Path(dir_okay=False), help="Save the state at the end (.nms).")
@click.option("--list", "list_examples", is_flag=True, help="List the built-in examples.")
@json_option
def command(model: str | None, list_examples: bool, as_json: bool, **options: Any) -> None:
    """Run MODEL on a target and record what its probes see."""
    from neuromorph import models

    if list_examples:
        found = models.examples()
        print_json(found) if as_json else click.echo("\n".join(f"{k:<16} {v}" for k, v in found.items()))
        return
    if model is None:
        raise click.UsageError("MODEL is missing: a .py or .nmi file, or a built-in example (--list)")
    _run(models.find(model, options["seed"]), as_json, options)


def _run(model: Model, as_json: bool, options: dict[str, Any]) -> None:
    from neuromorph.durations import steps_of
    from neuromorph.errors import NeuromorphError
    from neuromorph.files import check_directory
    from neuromorph.open import open as open_session
    from neuromorph.plots import check_plot
    from neuromorph.state import State

    for key in ("output", "save_state"):
        if options[key]:
            check_directory(options[key])
    if options["plot"]:
        check_plot(options["plot"])
    state = State.load(options["load_state"]) if options["load_state"] else None
    began = time.perf_counter()
    with open_session(model.source, options["target"], profile=options["profile"]) as session:
        if state is not None:
            session.restore(state)
        steps = steps_of(model.seconds(options["duration"]), session.program.dt)
        stimulus = _stimulus(model, session, steps, options["inputs"])
        try:
            with progress(as_json) as show:
                report = (lambda done, total: show(options["target"], done, total)) if show else None
                trace = session.run(
                    steps=steps, inputs=stimulus, progress=report, pace=options["pace"], period=options["period"]
                )
        except NeuromorphError as error:
            _rescue(error, options["output"])
            raise
        cost = session.account(trace)
        if options["save_state"]:
            session.snapshot().save(options["save_state"])
    seconds = time.perf_counter() - began
    if options["output"]:
        trace.save(options["output"])
    if options["plot"]:
        trace.plot(options["plot"])
    _show(trace, seconds, cost, as_json, options)
    if not as_json:
        _tell_silent(session.program, stimulus)


def _stimulus(model: Model, session: Session, steps: int, path: str | None) -> Stimulus:
    if path is None:
        return model.stimulus(session.program, session.now + steps)
    from neuromorph.models import recorded_inputs
    from neuromorph.trace import Trace

    return recorded_inputs(Trace.load(path), session.program)


def _tell_silent(program: Program, stimulus: Stimulus) -> None:
    """Name the inputs that nothing was given for: a network without spikes is seldom meant."""
    inputs = [(k, pop.name) for k, pop in enumerate(program.populations.values()) if pop.kind == "input"]
    silent = [name for k, name in inputs if k not in stimulus.events]
    if silent:
        click.echo(f"  nothing was sent to {', '.join(silent)}: see inputs(net, seed) of a model, or --inputs TRACE")


def _rescue(error: Any, output: str | None) -> None:
    """What an interrupted run had recorded is kept."""
    if output and error.trace is not None:
        error.trace.save(output)
        click.echo(f"the partial trace, to step {error.trace.stop}, is in {output}", err=True)


def _span(trace: Trace) -> str:
    return f"steps {trace.start + 1}..{trace.stop}" if trace.stop > trace.start else "no steps"


def _show(trace: Trace, seconds: float, cost: Section | None, as_json: bool, options: dict[str, Any]) -> None:
    from neuromorph.inspect import describe_trace

    data = describe_trace(trace)
    files = {key: options[key] for key in ("output", "plot", "save_state") if options[key]}
    if as_json:
        estimate = {} if cost is None else {"estimate": cost.to_dict()}
        print_json(data | {"steps": trace.steps, "seconds": round(seconds, 4), "files": files} | estimate)
        return
    click.echo(f"{trace.name} on {trace.target}: {_span(trace)} in {seconds:.2f} s")
    for name, column in data["probes"].items():
        if column["variable"] == "spikes":
            click.echo(
                f"  {name:<24} {column['spikes']} spikes of {column['n']} neurons, {column['mean_rate']:.2f} Hz each"
            )
        else:
            values = f", {column['min']}..{column['max']}" if column["samples"] else ""
            click.echo(f"  {name:<24} {column['samples']} samples{values}")
    if not data["probes"]:
        click.echo("  no probes: add net.probe(...) to record something")
    if trace.missing:
        click.echo(f"  records of {trace.dropped} steps are missing: the line could not take them at this pace")
    if cost is not None:
        click.echo(cost.text())
    for path in files.values():
        click.echo(f"wrote {path}")
