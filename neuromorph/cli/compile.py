"""neuromorph compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from neuromorph.cli.common import json_option, print_json, profile_option, seed_option

if TYPE_CHECKING:
    from neuromorph.program import Program


@click.command("compile")
@click.argument("model")
@click.option(
    "--target", "targets", multiple=True, default=("cpu",), show_default=True, help="Whose limits to respect."
)
@profile_option
@seed_option
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write the image (.nmi).")
@click.option("--print-after", multiple=True, metavar="PASS", help="Print the network after this pass.")
@click.option("--deadline", type=float, metavar="SECONDS", help="Refused by boards whose worst step would take longer.")
@click.option("--counter", type=int, default=0, help="Security counter: boards take no older program after this one.")
@json_option
def command(
    model: str,
    targets: tuple[str, ...],
    profile: str | None,
    seed: int | None,
    output: str | None,
    print_after: tuple[str, ...],
    deadline: float | None,
    counter: int,
    as_json: bool,
) -> None:
    """Compile MODEL to integers and report what is held of what was asked."""
    from neuromorph import models

    if as_json and print_after:
        raise click.UsageError("--print-after prints text; leave out --json")
    if output and not output.endswith(".nmi"):
        raise click.UsageError(f"--output {output}: the name of an image ends in .nmi; by that other commands know it")
    found = models.find(model, seed)
    program = found.compile(targets, print_after, profile, deadline=deadline, counter=counter)
    if output:
        program.save(output)
    if as_json:
        report = program.report.to_dict() if program.report is not None else None
        print_json({
            "name": program.name, "digest": program.digest, "targets": list(targets), "bytes": len(program.image),
            "output": output, "report": report,
        })  # fmt: skip
    elif not print_after:
        _show(program)
    if output and not as_json:
        click.echo(f"wrote {output} ({len(program.image)} bytes, digest {program.digest[:12]})")


def _show(program: Program) -> None:
    if program.report is None:
        click.echo(f"{program.name}: {len(program.image)} bytes, digest {program.digest[:12]}; an image has no report")
        return
    click.echo(program.report.text())
