"""The command line. Each command has a module of its own, imported when the command is called."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence

import click

from neuromorph.errors import NeuromorphError

__all__ = ["cli", "main"]

COMMANDS = {
    "run": "run a model on a target",
    "compare": "run a model on several targets and compare every value",
    "compile": "compile a model to an image (.nmi) and show the report",
    "inspect": "show what is in an image, a state or a trace",
    "targets": "list the machines",
    "boards": "list the boards, find new ones",
    "flash": "write the firmware onto a board",
    "store": "store a model on a board, so that it starts without a host",
    "doctor": "check the installation",
    "bench": "measure speed",
    "lab": "experiments of neural plasticity, each with bars and controls",
    "demo": "learn handwritten digits and compare the machines",
}
DIFFERENT, FAILED, INTERRUPTED = 1, 2, 130


class LazyGroup(click.Group):
    """Imports the module ``neuromorph.cli.<command>`` when the command is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All commands, the most used ones first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"neuromorph.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--traceback", is_flag=True, help="Show the Python traceback of an error.")
@click.version_option(package_name="neuromorph")
def cli(traceback: bool) -> None:
    """Spiking networks that learn: one integer program, equal to the bit on every machine.

    MODEL is a Python file with a function network(), a .nir file, a .nmi image, or the name of a built-in example
    (neuromorph run --list).
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 1 (compare: different), 2 (could not run), 130 (interrupted)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json, show_traceback = "--json" in given, "--traceback" in given
    try:
        code = cli.main(given, prog_name="neuromorph", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        if as_json:
            _report_json("UsageError", error.format_message())
        else:
            error.show()
        return FAILED
    except NeuromorphError as error:
        if show_traceback:
            traceback.print_exc()
        elif as_json:
            _report_json(type(error).__name__, str(error))
        else:
            click.echo(f"neuromorph: {error}", err=True)
        return FAILED
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        sys.stderr.close()
        return 0
    except Exception as error:
        if show_traceback:
            traceback.print_exc()
        elif as_json:
            _report_json("InternalError", f"{type(error).__name__}: {error}")
        else:
            click.echo(
                f"neuromorph: unexpected {type(error).__name__}: {error}\n"
                "This is a fault of neuromorph. Please report it with the output of\n"
                f"  neuromorph --traceback {' '.join(given)}\n  neuromorph doctor",
                err=True,
            )
        return FAILED


def _report_json(kind: str, message: str) -> None:
    import json

    click.echo(json.dumps({"error": {"type": kind, "message": message}}))
