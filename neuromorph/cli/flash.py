"""neuromorph flash."""

from __future__ import annotations

from pathlib import Path

import click

from neuromorph.cli.boards import map_option
from neuromorph.cli.common import json_option, print_json


@click.command("flash")
@click.argument("board")
@map_option
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Firmware to write, instead of our own.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@json_option
def command(board: str, path: Path, file: Path | None, dry_run: bool, as_json: bool) -> None:
    """Write the firmware onto BOARD, an id of the hardware map, and ask it who it is.

    The map says how: `flasher` is uf2 (copy to the boot loader's drive), pyocd (debug probe) or command (any program).
    """
    from neuromorph.errors import TargetError
    from neuromorph.validate import nearest
    from neuromorph_mcu.locks import hold
    from pytest_neuromorph.flashers import plan
    from pytest_neuromorph.roster import read_map

    entries = {entry.id: entry for entry in read_map(path)}
    if board not in entries:
        raise TargetError(f"no board {board!r} in {path}; {nearest(board, list(entries))}")
    entry = entries[board]
    steps = plan(entry, file)
    firmware = ""
    if not as_json:
        for step in steps:
            click.echo(("would " if dry_run else "") + step.what)
    if not dry_run:
        with hold(entry.key, entry.id, "neuromorph flash"):
            for step in steps:
                step.do()
        firmware = _answer(entry.url, entry.baud)
        if not as_json:
            click.echo(f"{entry.id} answers: {firmware}" if firmware else f"{entry.id} was written; nobody answers yet")
    if as_json:
        print_json({"board": entry.id, "steps": [s.what for s in steps], "done": not dry_run, "firmware": firmware})


def _answer(url: str, baud: int) -> str:
    """Firmware that the board now runs; empty if nobody answers."""
    from neuromorph.errors import NeuromorphError
    from pytest_neuromorph.scan import ask

    try:
        hello, _ = ask(url, [baud])
    except NeuromorphError:
        return ""
    return f"{hello.board} {hello.build}"
