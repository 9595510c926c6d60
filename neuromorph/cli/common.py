"""What commands share: options, JSON output, progress on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from neuromorph.progress import Progress

__all__ = ["json_option", "print_json", "profile_option", "progress", "refuse", "seed_option", "targets_option"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 4), default=None, help="Seed for network(seed) and inputs(net, seed)."
)
profile_option = click.option(
    "--profile", type=click.Choice(["loihi2", "wide"]), default=None,
    help="Bits of the machine that a network is compiled for: loihi2 (8-bit weights, the default) or wide (16 bits).",
)  # fmt: skip


def _read_names(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Names from a list with commas."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise click.BadParameter("name at least one machine (neuromorph targets)", ctx=ctx, param=param)
    return names


def targets_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--targets``: names of machines, as a tuple."""
    return click.option(
        "--targets", default=default, show_default=True, callback=_read_names, help="Machines, separated by commas."
    )


def refuse(ctx: click.Context, why: str, *names: str) -> None:
    """UsageError if the user gave one of these parameters, which would have no effect."""
    for param in ctx.command.params:
        if param.name in names and ctx.get_parameter_source(param.name) is not ParameterSource.DEFAULT:
            shown = param.human_readable_name if isinstance(param, click.Argument) else max(param.opts, key=len)
            raise click.UsageError(f"{shown} has no effect {why}", ctx)


def print_json(data: object) -> None:
    """One JSON object on standard output; what is not finite becomes null."""
    click.echo(json.dumps(_plain(data), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


@contextmanager
def progress(quiet: bool = False) -> Iterator[Progress | None]:
    """A callable (what, done, total) that shows a bar with the time left, on a terminal; None elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        yield from _plain_progress()
        return
    yield from _rich_progress()


def _rich_progress() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, Any] = {}
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield show


def _plain_progress() -> Iterator[Progress]:
    began: dict[str, float] = {}
    shown = 0.0

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        start = began.setdefault(what, now)
        if done and now - shown > 0.2:
            left = (now - start) * (total - done) / done
            click.echo(f"\r{what}: {done}/{total} steps, {left:.0f} s left   ", err=True, nl=False)
            shown = now

    yield show
    if shown:
        click.echo("\r" + " " * 60 + "\r", err=True, nl=False)
