"""neuromorph inspect."""

from __future__ import annotations

import click

from neuromorph.cli.common import json_option, print_json


@click.command("inspect")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--program", type=click.Path(dir_okay=False), help="Of a state: the image (.nmi) that gives it names.")
@json_option
def command(file: str, program: str | None, as_json: bool) -> None:
    """Show what is in FILE: an image (.nmi), a state (.nms) or a trace (.npz)."""
    from neuromorph.inspect import describe, text
    from neuromorph.program import Program

    data = describe(file, Program.load(program) if program else None)
    print_json(data) if as_json else click.echo(text(data))
