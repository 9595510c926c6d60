"""``neuromorph bench``: CPU time per step of an engine, or exact instructions on an emulated board."""

from __future__ import annotations

import click

from neuromorph.cli.common import print_json

__all__ = ["command"]


@click.command("bench", short_help="measure speed")
@click.argument("names", nargs=-1, metavar="[NETWORK]...")
@click.option("--target", default="cpu", show_default=True, help="Machine: cpu, cpu:ref, mcu:m4, mcu:m3, mcu:m0, ...")
@click.option("--scale", default=1.0, show_default=True, help="Share of the neurons, where a board cannot hold all.")
@click.option("--steps", type=click.IntRange(1), help="Steps (default: the network's; 200 on slow machines).")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1, 100), help="Runs; the fastest counts.")
@click.option("--kernels", is_flag=True, help="Instructions per event, update and product on an emulated board.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list for several networks.")
def command(
    names: tuple[str, ...], target: str, scale: float, steps: int | None, repeats: int, kernels: bool, as_json: bool
) -> None:
    """Measure the networks N1, N2, N3, N4 (N3e, N4e: learning epoch of 4 steps); all four if none is named."""
    if kernels:
        _kernels(target, as_json)
        return
    from neuromorph.bench.measure import measure

    found = []
    for name in names or ("N1", "N2", "N3", "N4"):
        row = measure(name, target, scale=scale, steps=steps, repeats=repeats)
        found.append(row)
        if not as_json:
            _show(row.to_dict(), header=len(found) == 1)
    if as_json:
        rows = [row.to_dict() for row in found]
        print_json(rows[0] if len(names) == 1 else rows)


def _show(row: dict[str, object], *, header: bool) -> None:
    columns = {
        "network": 8, "steps": 7, "spikes": 9, "synaptic_events": 16, "plastic_updates": 16, "cpu_us_per_step": 16,
        "wall_us_per_step": 17, "peak_rss_mb": 12, "instructions_per_step": 22,
    }  # fmt: skip
    if header:
        click.echo(f"target {row['target']}, scale {row['scale']}")
        click.echo("".join(f"{name:>{width}}" for name, width in columns.items()))
    cells = []
    for name, width in columns.items():
        value = row[name]
        text = "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        cells.append(f"{text:>{width}}")
    click.echo("".join(cells))


def _kernels(target: str, as_json: bool) -> None:
    from neuromorph.bench.kernels import kernel_costs

    costs = kernel_costs(target)
    if as_json:
        print_json({"target": target, "instructions": costs})
        return
    click.echo(f"exact instructions on {target}")
    for name, value in costs.items():
        click.echo(f"  {name:<44}{value:>8.2f}")
