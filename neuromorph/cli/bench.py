"""neuromorph bench."""

from __future__ import annotations

from typing import Any

import click

from neuromorph.cli.common import json_option, print_json, progress, refuse

UNUSED = {
    "--kernels": ("name", "steps", "scale", "repeats"), "--rules": ("name", "steps", "scale", "repeats"),
    "--homeostasis": ("name", "steps", "repeats"), "--against": ("repeats",),
}  # fmt: skip
"""Parameters without effect, by what is measured."""


@click.command("bench")
@click.argument("name", required=False)
@click.option("--target", default="cpu", show_default=True, help="Machine to measure.")
@click.option(
    "--steps", type=click.IntRange(min=1), help="Steps; the network's own by default, fewer on slow machines."
)
@click.option("--scale", type=float, default=1.0, show_default=True, help="Share of the neurons, for small machines.")
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True, help="The fastest run counts.")
@click.option("--against", help="Other machines, separated by commas: CPU time of a whole run's step beside theirs.")
@click.option("--kernels", is_flag=True, help="Instructions per neuron, event and update of a board instead.")
@click.option("--rules", is_flag=True, help="Instructions that each named rule costs on a board instead.")
@click.option(
    "--homeostasis", is_flag=True, help="What an adaptive threshold and synaptic scaling add to a step of N3 instead."
)
@json_option
@click.pass_context
def command(
    ctx: click.Context, name: str | None, target: str, steps: int | None, scale: float, repeats: int,
    against: str | None, kernels: bool, rules: bool, homeostasis: bool, as_json: bool,
) -> None:  # fmt: skip
    """Measure the speed of a target on the network NAME (N1, N2, N3, N4), or on all of them."""
    modes = {"--kernels": kernels, "--rules": rules, "--homeostasis": homeostasis, "--against": against is not None}
    chosen = [option for option, given in modes.items() if given]
    if len(chosen) > 1:
        raise click.UsageError(f"{chosen[0]} and {chosen[1]} are two measurements: ask for one of them")
    for option in chosen:
        refuse(ctx, f"with {option}", *UNUSED[option])
    if kernels:
        _kernels(target, as_json)
        return
    if rules:
        _rules(target, as_json)
        return
    if homeostasis:
        _homeostasis(target, scale, as_json)
        return
    if against is not None:
        _against(name or "N1", [target, *against.split(",")], steps, scale, as_json)
        return
    from neuromorph.bench.measure import measure
    from neuromorph.bench.networks import NETWORKS
    from neuromorph.errors import CapacityError

    rows = []
    for network in (name,) if name else NETWORKS:
        try:
            with progress(as_json) as bar:
                row = measure(network, target, scale=scale, steps=steps, repeats=repeats, progress=bar).to_dict()
        except CapacityError as error:
            if name:
                raise
            row = {"network": network, "target": target, "error": str(error)}
        rows.append(row)
        if not as_json:
            click.echo(_line(row))
    if as_json:
        print_json(rows[0] if name else {"target": target, "rows": rows})


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['network']:<4} {row['target']:<8} {row['error']}"
    board = row["instructions_per_step"]
    cost = f"{row['cpu_us_per_step']:.2f} us CPU per step" if board is None else f"{board:.0f} instructions per step"
    return (
        f"{row['network']:<4} {row['target']:<8} {row['steps']} steps, {cost}, {row['spikes']} spikes, "
        f"{row['synaptic_events']} synaptic events, {row['plastic_updates']} plastic updates"
    )


def _against(name: str, targets: list[str], steps: int | None, scale: float, as_json: bool) -> None:
    from neuromorph.bench.against import against

    with progress(as_json) as bar:
        rows = against(name, [target.strip() for target in targets], steps, scale, bar)
    if as_json:
        print_json({"network": name, "rows": [row.to_dict() for row in rows]})
        return
    for row in rows:
        click.echo(
            f"{row.network:<4} {row.target:<16} {row.cpu_us:>11.2f} us CPU per step, {row.ratio:>8.1f} times; "
            f"{row.once_ms:.1f} ms CPU once per run  ({row.few} and {row.steps} steps; equal spikes)"
        )


def _kernels(target: str, as_json: bool) -> None:
    from neuromorph.bench.kernels import kernel_costs

    with progress(as_json) as bar:
        costs = kernel_costs(target, bar)
    if as_json:
        print_json({"target": target, "instructions": costs})
        return
    for kernel, cost in costs.items():
        click.echo(f"{kernel:<68} {cost:6.1f} instructions")


def _rules(target: str, as_json: bool) -> None:
    from dataclasses import asdict

    from neuromorph.bench.homeostasis import overhead
    from neuromorph.bench.rules import rule_costs

    with progress(as_json) as bar:
        costs, both = rule_costs(target, progress=bar), overhead(target, progress=bar)
    if as_json:
        rules = {name: asdict(cost) for name, cost in costs.items()}
        print_json({"target": target, "rules": rules, "homeostasis": both.to_dict()})
        return
    click.echo(f"{'instructions':<52} per plastic update  per neuron and step")
    for name, cost in costs.items():
        update = f"{cost.update:18.1f}" if cost.update is not None else f"{'-':>18}"
        click.echo(f"{name:<52} {update}  {cost.neuron_step:19.1f}")
    click.echo(both.text())


def _homeostasis(target: str, scale: float, as_json: bool) -> None:
    from neuromorph.bench.homeostasis import overhead

    with progress(as_json) as bar:
        both = overhead(target, scale, bar)
    if as_json:
        print_json({"target": target, **both.to_dict()})
    else:
        click.echo(both.text())
