"""neuromorph targets."""

from __future__ import annotations

import click

from neuromorph.cli.common import json_option, print_json


@click.command("targets")
@json_option
def command(as_json: bool) -> None:
    """List the machines that a program can run on."""
    from neuromorph.targets import installed

    rows = [
        {
            "name": target.name, "kind": target.kind, "numbers": target.numbers, "description": target.description,
            "image_max": target.image_max, "arena_max": target.arena_max, "features": sorted(target.features),
            "missing": backend.available(target),
        }
        for backend, target in installed()
    ]  # fmt: skip
    if as_json:
        print_json({"targets": rows})
        return
    for row in rows:
        click.echo(f"{row['name']:<12} {row['kind']:<10} {row['numbers']:<8} {row['description']}")
        if row["missing"]:
            click.echo(f"{'':<12} missing: {row['missing']}")
