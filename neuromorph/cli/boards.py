"""neuromorph boards, and neuromorph boards scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuromorph.cli.common import json_option, print_json

if TYPE_CHECKING:
    from pytest_neuromorph.scan import Found

MAP = "boards.toml"

map_option = click.option(
    "--map", "path", type=click.Path(dir_okay=False, path_type=Path), default=MAP, show_default=True,
    help="The hardware map.",
)  # fmt: skip


@click.group("boards", invoke_without_command=True)
@map_option
@json_option
@click.pass_context
def command(context: click.Context, path: Path, as_json: bool) -> None:
    """List the boards: those that come along, and those of the hardware map; `scan` finds new ones."""
    if context.invoked_subcommand is not None:
        context.obj = path
        return
    from neuromorph_mcu.locks import locked_by
    from pytest_neuromorph.roster import builtin, read_map

    mapped = read_map(path) if path.exists() else ()
    rows = [
        {
            "id": entry.id, "kind": entry.kind, "target": entry.target, "board": entry.board, "uid": entry.uid,
            "usb": entry.usb, "fixtures": sorted(entry.fixtures), "flasher": entry.flasher, "notes": entry.notes,
            "missing": entry.missing, "locked": locked_by(entry.key, entry.id) if entry.shared else "",
        }
        for entry in (*mapped, *builtin())
    ]  # fmt: skip
    if as_json:
        print_json({"map": str(path) if path.exists() else None, "boards": rows})
        return
    click.echo(_table(rows))
    if not path.exists():
        click.echo(f"\nno hardware map {path}: `neuromorph boards scan --merge` writes one")


def _table(rows: list[dict[str, Any]]) -> str:
    width = max(len(row["id"]) for row in rows)
    lines = []
    for row in rows:
        state = row["missing"] or row["locked"] or "here"
        lines.append(f"{row['id']:<{width}} {row['kind']:<8} {state}" + (f"  ({row['notes']})" if row["notes"] else ""))
    return "\n".join(lines)


@command.command("scan")
@click.option("--map", "path", type=click.Path(dir_okay=False, path_type=Path), help=f"The hardware map ({MAP}).")
@click.option("--merge", is_flag=True, help="Write what was found into the map; what people wrote stays.")
@click.option("--port", "ports", multiple=True, metavar="URL", help="Ask this port, not all USB ports; repeatable.")
@json_option
@click.pass_obj
def scan_command(default: Path, path: Path | None, merge: bool, ports: tuple[str, ...], as_json: bool) -> None:
    """Ask every USB serial port who is there, and show the answers as a hardware map.

    A board is known again by its USB id, and by the number that it says itself.
    """
    from neuromorph.files import write_atomic
    from pytest_neuromorph.scan import Port, merged, scan, usb_ports

    where = path or default
    asked = tuple(Port(url) for url in ports) if ports else usb_ports()
    found = scan(asked)
    text, changes = merged(where if merge else None, found)
    if changes and merge:
        write_atomic(where, text.encode())
    if as_json:
        print_json({"found": [_plain(one) for one in found], "changes": changes, "map": str(where) if merge else None})
        return
    for one in found:
        if one.problem:
            click.echo(f"# {one.port.device}: {one.problem}", err=True)
    if not asked:
        click.echo("no USB serial port: is the board plugged in? (Linux: are you in the group dialout?)", err=True)
    if merge:
        click.echo("\n".join([*changes, f"wrote {where}"]) if changes else "nothing new")
    elif text:
        click.echo(text.strip())


def _plain(one: Found) -> dict[str, Any]:
    hello = one.hello
    about = {} if hello is None else {
        "board": hello.board, "core": hello.core, "firmware": hello.build, "uid": hello.uid.hex(), "memory": hello.pool,
    }  # fmt: skip
    return {"device": one.port.device, "usb": one.port.usb, "problem": one.problem, **about}
