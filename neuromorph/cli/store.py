"""neuromorph store."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from neuromorph.cli.common import json_option, print_json, seed_option

if TYPE_CHECKING:
    from neuromorph.store import Stored, StoredProgram


@click.command("store")
@click.argument("model", required=False)
@click.option("--target", default="mcu", show_default=True, help="The board (neuromorph targets).")
@click.option("--alone", is_flag=True, help="From its start on the board runs MODEL by itself, a step every dt.")
@click.option("--period", type=float, help="As --alone, with so many seconds for a step.")
@click.option("--every", type=float, help="Seconds after which it stores its state by itself while it runs.")
@click.option("--trial", is_flag=True, help="For one start, unless it is confirmed.")
@click.option("--load-state", type=click.Path(dir_okay=False), help="Store this state (.nms) with MODEL.")
@click.option("--confirm", "verb", flag_value="confirm", help="Keep the program that is on trial.")
@click.option("--revert", "verb", flag_value="revert", help="Drop the newest program; the one before it counts again.")
@click.option("--forget", "verb", flag_value="forget", help="Forget all that is stored.")
@seed_option
@json_option
def command(model: str | None, target: str, verb: str | None, as_json: bool, **options: Any) -> None:
    """Store MODEL on a board, so that it starts without a host; without MODEL, show what is stored there."""
    if model is not None and verb is not None:
        raise click.UsageError(f"--{verb} is about what is stored already: leave MODEL out")
    orders = [f"--{name.replace('_', '-')}" for name, value in options.items() if value not in (None, False)]
    if model is None and orders:
        raise click.UsageError(f"{orders[0]} needs a MODEL to store")
    found = _persist(model, target, options) if model is not None else _ask(target, verb)
    if as_json:
        print_json({"target": target} | asdict(found))
        return
    click.echo(_text(target, found))
    if model is not None and found.size and _forgets(target):
        click.echo(f"  {target} ends with this command, and its flash with it; mcu:nmposix://?flash=FILE keeps it")


def _forgets(target: str) -> bool:
    """Whether a machine begins anew with each command, its store included."""
    from neuromorph.targets import find

    own = target.startswith("mcu:nmemu://") and "flash=" not in target
    return own or find(target)[1].kind == "emulator"


def _persist(model: str, target: str, options: dict[str, Any]) -> Stored:
    from neuromorph import models
    from neuromorph.open import open as open_session
    from neuromorph.state import State

    state = State.load(options["load_state"]) if options["load_state"] else None
    with open_session(models.find(model, options["seed"]).source, target) as session:
        if state is not None:
            session.restore(state)
        alone = options["period"] if options["period"] is not None else options["alone"]
        return session.persist(alone=alone, every=options["every"], trial=options["trial"])


def _ask(target: str, verb: str | None) -> Stored:
    from neuromorph.engine import Storing
    from neuromorph.errors import UnsupportedError
    from neuromorph.store import Store
    from neuromorph.targets import find

    backend, chosen = find(target)
    engine = backend.open(chosen)
    try:
        if not isinstance(engine, Storing):
            raise UnsupportedError(f"{target} stores nothing; boards with flash do")
        store = Store(engine)
        if verb is not None:
            getattr(store, verb)()
        return store.info()
    finally:
        engine.close()


def _text(target: str, found: Stored) -> str:
    if not found.size:
        return f"{target}: no flash that its firmware could store anything in"
    lines = [f"{target}: {found.size // 1024} KiB of flash, {found.erases} sectors erased so far"]
    rows = (("at each start", found.current), ("at the next start", found.candidate), ("before", found.previous))
    lines += [f"  {what:<18} {_program(program)}" for what, program in rows if program is not None]
    if len(lines) == 1:
        lines.append("  nothing is stored")
    lines += [f"  {text}" for text in _news(found)]
    return "\n".join(lines)


def _program(program: StoredProgram) -> str:
    parts = [f"program {program.digest[:12]}, {program.size} bytes"]
    parts.append("no state" if program.step is None else f"state of step {program.step}")
    if program.period:
        parts.append(f"runs alone, {program.period * 1e3:g} ms a step")
    if program.every:
        parts.append(f"stores its state every {program.every} steps")
    if program.trial:
        parts.append("on trial")
    return ", ".join(parts)


def _news(found: Stored) -> list[str]:
    """What happened at the start that somebody should know."""
    start = f"started by {found.cause}" if found.cause != "unknown" else "started"
    what = "with the stored program" if found.started else "without a stored program"
    news = [f"{start}, {what}" + (", from its stored state" if found.resumed else "")]
    if found.trial:
        news.append("the program is on trial: --confirm keeps it, the next start drops it")
    if found.reverted:
        news.append("a program on trial was not confirmed, and dropped")
    if found.damaged:
        news.append("something could not be read (as after a loss of power while writing); what was before it counts")
    if found.failed:
        news.append(f"{found.failed} states could not be stored")
    return news
