"""neuromorph flash."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuromorph.cli.boards import map_option
from neuromorph.cli.common import json_option, print_json

if TYPE_CHECKING:
    from pytest_neuromorph.roster import Entry


@click.command("flash")
@click.argument("board", required=False)
@map_option
@click.option("--firmware", metavar="NAME", help="A board that is in no map: the firmware of ours that it gets.")
@click.option("--port", metavar="URL", default="", help="With --firmware: its port, to ask it who it is.")
@click.option("--flasher", metavar="HOW", default="", help="With --firmware: uf2 or pyocd, if not the usual one.")
@click.option("--arg", "args", multiple=True, metavar="TEXT", help="With --firmware: for the flasher; repeatable.")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Firmware to write, instead of our own.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@json_option
def command(board: str | None, path: Path, file: Path | None, dry_run: bool, as_json: bool, **new: Any) -> None:
    """Write the firmware onto BOARD, an id of the hardware map, and ask it who it is.

    The map says how: `flasher` is uf2 (copy to the boot loader's drive), pyocd (debug probe) or command (any program).
    A new board needs no map: `neuromorph flash --firmware pico`.
    """
    from neuromorph_mcu.locks import hold
    from pytest_neuromorph.flashers import plan

    entry = _mapped(board, path) if board else _new(**new)
    steps = plan(entry, file)
    firmware = ""
    if not as_json:
        for step in steps:
            click.echo(("would " if dry_run else "") + step.what)
    if not dry_run:
        with hold(entry.key, entry.id, "neuromorph flash") if entry.url else nullcontext():
            for step in steps:
                step.do()
        firmware = _answer(entry.url, entry.baud) if entry.url else ""
        if not as_json:
            click.echo(f"{entry.id} answers: {firmware}" if firmware else f"{entry.id} was written; nobody answers yet")
    if as_json:
        print_json({"board": entry.id, "steps": [s.what for s in steps], "done": not dry_run, "firmware": firmware})


def _mapped(board: str, path: Path) -> Entry:
    from neuromorph.errors import TargetError
    from neuromorph.validate import nearest
    from pytest_neuromorph.roster import read_map

    if not path.exists():
        raise TargetError(
            f"no board {board!r}: there is no hardware map {path}; `neuromorph boards scan --merge` writes one, and "
            "`neuromorph flash --firmware NAME` needs none"
        )
    entries = {entry.id: entry for entry in read_map(path)}
    if board not in entries:
        raise TargetError(f"no board {board!r} in {path}; {nearest(board, list(entries))}")
    return entries[board]


def _new(firmware: str | None, port: str, flasher: str, args: tuple[str, ...]) -> Entry:
    from pytest_neuromorph.flashers import firmware_names, unmapped

    if not firmware:
        raise click.UsageError(f"name a BOARD of the map, or --firmware NAME: {', '.join(firmware_names())}")
    return unmapped(firmware, port, flasher, args)


def _answer(url: str, baud: int) -> str:
    """Firmware that the board now runs; empty if nobody answers."""
    from neuromorph.errors import NeuromorphError
    from pytest_neuromorph.scan import BAUDS, ask

    try:
        hello, _ = ask(url, tuple(dict.fromkeys((baud, *BAUDS))))
    except NeuromorphError:
        return ""
    return f"{hello.board} {hello.build}"
