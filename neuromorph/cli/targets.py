"""neuromorph targets, and neuromorph targets install."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from neuromorph.cli.common import json_option, print_json

if TYPE_CHECKING:
    from neuromorph.engine import Backend, Target


@click.group("targets", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the machines that a program can run on, or install what one needs."""
    if context.invoked_subcommand is not None:
        return
    from neuromorph.targets import installed

    rows = [
        {
            "name": target.name, "kind": target.kind, "numbers": target.numbers, "description": target.description,
            "image_max": target.image_max, "arena_max": target.arena_max, "features": sorted(target.features),
            "missing": backend.available(target), "versions": _versions(backend, target),
        }
        for backend, target in installed()
    ]  # fmt: skip
    if as_json:
        print_json({"targets": rows})
        return
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        click.echo(f"{row['name']:<{width}} {row['kind']:<10} {row['numbers']:<8} {row['description']}")
        versions = ", ".join(f"{k} {v}" for k, v in cast("dict[str, str]", row["versions"]).items())
        for what, text in (("missing", row["missing"]), ("has", versions)):
            if text:
                click.echo(f"{'':<{width}} {what}: {text}")


def _versions(backend: Backend, target: Target) -> dict[str, str]:
    from neuromorph.worker.peer import PeerBackend

    return backend.versions(target) if isinstance(backend, PeerBackend) else {}


@command.command("install")
@click.argument("name")
@click.option("--python", type=click.Path(path_type=Path), help="Interpreter to use; else one is looked for.")
@click.option("--into", type=click.Path(path_type=Path), help="Folder of the environment; one that is there is used.")
@json_option
def install(name: str, python: Path | None, into: Path | None, as_json: bool) -> None:
    """Make the environment that a target such as loihi:lava runs in."""
    from neuromorph.errors import TargetError
    from neuromorph.targets import find
    from neuromorph.worker.peer import PeerBackend

    backend, target = find(name)
    environment = backend.environment_of(target) if isinstance(backend, PeerBackend) else None
    if environment is None:
        missing = backend.available(target)
        more = f"; missing: {missing}" if missing else ""
        raise TargetError(f"{target.name} needs no environment of its own{more}")
    done = environment.install(lambda line: click.echo(line, err=True), python, into)
    if as_json:
        print_json({"target": target.name, "python": str(done.python), "versions": done.versions})
        return
    versions = ", ".join(f"{package} {version}" for package, version in done.versions.items())
    click.echo(f"{target.name} is installed: {versions}")
