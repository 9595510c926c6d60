"""What a board keeps without power: programs and what they learned, as users see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import neuromorph as nm
from neuromorph.cli import cli
from neuromorph.program import Program
from neuromorph.state import State
from neuromorph_mcu.boards import posix_program
from neuromorph_mcu.engine import McuEngine
from tests.mcu.power import network

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")
BOARDS = ["nmemu://unicorn_m4", "nmposix://"]
pytestmark = pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`")

Switch = Callable[..., nm.Session]


@pytest.fixture(scope="module")
def program() -> Program:
    return nm.compile(network(1), targets=["cpu", "mcu"])


@pytest.fixture(scope="module")
def other() -> Program:
    return nm.compile(network(2), target="mcu")


@pytest.fixture(params=BOARDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A board whose flash is a file: each session switches it on, and off again."""
    if "nmemu" in request.param:
        pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    return f"mcu:{request.param}?flash={tmp_path / 'flash'}"


def after(program: Program, steps: int) -> State:
    """The state that the specification has after so many steps."""
    with nm.open(program, "cpu:ref") as session:
        session.run(steps=steps)
        return session.snapshot()


def stored_step(session: nm.Session) -> int | None:
    """Step of the newest state that is stored."""
    stored = session.store.info().current
    return None if stored is None else stored.step


def test_a_board_goes_on_with_what_it_had_learned(target: str, program: Program) -> None:
    with nm.open(program, target) as session:
        session.run(steps=30)
        stored = session.persist()
        assert stored.current is not None
        assert (stored.current.step, stored.current.period, stored.candidate) == (30, 0.0, None)
        assert program.digest.startswith(stored.current.digest)
        session.run(steps=5)  # is lost
    with nm.open(program, target, attach=True) as session:
        found = session.store.info()
        assert (found.cause, found.started, found.resumed, found.damaged) == ("power", True, True, False)
        assert session.snapshot() == after(program, 30)
        session.run(steps=20)
        assert session.snapshot() == after(program, 50)


def test_what_a_board_stores_is_the_state_file_to_the_byte(tmp_path: Path, program: Program) -> None:
    flash = tmp_path / "flash"
    with nm.open(program, f"mcu:nmposix://?flash={flash}") as session:
        session.run(steps=12)
        session.persist()
    assert after(program, 12).to_bytes() in flash.read_bytes()


def test_it_saves_by_itself_after_so_many_steps(target: str, program: Program) -> None:
    with nm.open(program, target) as session:
        session.persist(every=0.01)
        session.run(steps=25)
        stored = session.store.info().current
        assert stored is not None
        assert (stored.step, stored.every, stored.states) == (20, 10, 2)
    with nm.open(program, target, attach=True) as session:
        assert session.snapshot() == after(program, 20)


def test_it_runs_alone_from_its_start_on(target: str, program: Program) -> None:
    with nm.open(program, target) as session:
        session.run(steps=10)
        session.persist(alone=True, every=0.005)
    with nm.open(program, target, attach=True) as session:
        session.leave()
    with nm.open(program, target, attach=True) as session:
        step = session.now
        assert step >= 10
        assert session.snapshot() == after(program, step)


def test_a_program_on_trial_counts_once(target: str, program: Program, other: Program) -> None:
    with nm.open(program, target) as session:
        session.persist()
    with nm.open(other, target) as session:
        session.persist(trial=True)
    with nm.open(other, target, attach=True) as session:
        assert session.store.info().trial
    with nm.open(program, target, attach=True) as session:
        found = session.store.info()
        assert found.reverted
        assert (found.trial, found.candidate) == (False, None)


def test_a_program_on_trial_that_is_confirmed_stays(target: str, program: Program, other: Program) -> None:
    with nm.open(program, target) as session:
        session.persist()
    with nm.open(other, target) as session:
        session.persist(trial=True)
    with nm.open(other, target, attach=True) as session:
        session.store.confirm()
        session.store.confirm()  # an answer that was lost is asked for again
    with nm.open(other, target, attach=True) as session:
        found = session.store.info()
        assert (found.trial, found.reverted) == (False, False)
        assert found.previous is not None
        session.store.revert()
    with nm.open(program, target, attach=True) as session:
        assert session.store.info().previous is None
        session.store.forget()
    with pytest.raises(nm.TargetError, match="holds no program"):
        nm.open(program, target, attach=True)


def test_what_was_stored_and_is_damaged_is_told(target: str, program: Program) -> None:
    with nm.open(program, target) as session:
        session.persist()
    flash = Path(target.partition("flash=")[2])
    data = bytearray(flash.read_bytes())
    data[8192:] = bytes(byte if byte == 255 else byte ^ 1 for byte in data[8192:])
    flash.write_bytes(data)
    with pytest.raises(nm.TargetError, match="holds no program: what was stored on it is damaged"):
        nm.open(program, target, attach=True)


def test_another_program_is_not_attached_to(target: str, program: Program, other: Program) -> None:
    with nm.open(program, target) as session:
        session.persist()
    with pytest.raises(nm.TargetError, match=f"holds program {program.digest[:12]}, not {other.digest[:12]}"):
        nm.open(other, target, attach=True)


def test_the_same_program_is_not_written_twice(target: str, program: Program) -> None:
    with nm.open(program, target) as session:
        erases = session.persist().erases
        for _ in range(6):
            session.run(steps=1)
            stored = session.persist(every=0.1)
        assert stored.erases <= erases + 1  # six states take less than a sector
        assert stored.previous is None
        assert stored.current is not None
        assert (stored.current.every, stored.current.step) == (100, 6)


def test_the_ring_wears_evenly(program: Program) -> None:
    """A hundred states erase as many sectors as they fill, and the journal's as often as it is full."""
    pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    engine = McuEngine("mcu:m4", "nmemu://unicorn_m4")
    engine.load(program.image)
    engine.persist(0, 0, trial=False)
    before = engine.stored().erases
    for _ in range(100):
        engine._client.save()
    size = len(after(program, 0).to_bytes())
    journal, ring = 100 / 60, 100 * size / 4096
    assert engine.stored().erases - before <= journal + ring + 3
    engine.close()


def test_a_power_that_is_about_to_fail_is_used(tmp_path: Path, program: Program) -> None:
    target = f"mcu:nmposix://?flash={tmp_path / 'flash'}"
    with nm.open(program, target) as session:
        session.persist()
        session.run(steps=33)
        port: Any = session.engine.port  # type: ignore[attr-defined]
        port.process.power_fails()
        end = time.monotonic() + 20
        while stored_step(session) != 33 and time.monotonic() < end:
            time.sleep(0.01)
    with nm.open(program, target, attach=True) as session:
        assert session.snapshot() == after(program, 33)


def test_a_reset_is_no_loss_of_power(tmp_path: Path, program: Program) -> None:
    with nm.open(program, f"mcu:nmposix://?flash={tmp_path / 'flash'}") as session:
        session.run(steps=4)
        session.persist()
        engine: Any = session.engine
        engine.reset_board()
        assert engine.hello.cause == "pin"
        assert (engine.hello.stored_step, engine.hello.stored_digest.hex()) == (4, program.digest[:8])
        assert engine.now() == 4


def test_what_does_not_fit_is_refused_with_its_size(tmp_path: Path) -> None:
    large = nm.compile(network(1, cells=500), target="mcu")
    with nm.open(large, f"mcu:nmposix://?flash={tmp_path / 'flash'}") as session:
        with pytest.raises(nm.CapacityError, match=r"\d+ bytes do not fit into its flash .* an empty one takes 253952"):
            session.persist()
        session.run(steps=1)
        assert session.store.info().current is None


def test_a_board_without_flash_says_so(program: Program) -> None:
    with nm.open(program, "mcu:posix") as session:
        with pytest.raises(nm.TargetError, match=r"board posix has no flash .*mcu:nmposix://\?flash=FILE"):
            session.persist()
        assert session.store.info().size == 0


def test_machines_that_begin_anew_say_so(program: Program) -> None:
    with nm.open(program, "cpu") as session, pytest.raises(nm.UnsupportedError, match="cpu stores nothing"):
        session.persist()
    with pytest.raises(nm.UnsupportedError, match="begins anew in each session"):
        nm.open(program, "cpu", attach=True)


@pytest.mark.parametrize(
    ("given", "match"),
    [({"every": 0.0}, r"one step, 0\.001 s, and at most 4\.29497e\+06 s"), ({"alone": -1.0}, "between 1")],
)
def test_orders_that_cannot_be_are_refused(tmp_path: Path, program: Program, given: Any, match: str) -> None:
    target = f"mcu:nmposix://?flash={tmp_path / 'flash'}"
    with nm.open(program, target) as session, pytest.raises(nm.ValidationError, match=match):
        session.persist(**given)


def test_the_command_stores_shows_and_forgets(tmp_path: Path) -> None:
    target = ["--target", f"mcu:nmposix://?flash={tmp_path / 'flash'}"]

    def call(*words: str) -> str:
        done = CliRunner().invoke(cli, ["store", *words, *target])
        assert done.exit_code == 0, done.output
        return done.output

    assert "nothing is stored" in call()
    assert "runs alone, 1 ms a step, stores its state every 500 steps" in call("tutorial", "--alone", "--every", "0.5")
    assert "started by power, with the stored program, from its stored state" in call()
    assert "nothing is stored" in call("--forget")


def test_the_command_says_when_nothing_of_it_stays(tmp_path: Path) -> None:
    pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    said = {
        target: CliRunner().invoke(cli, ["store", "tutorial", "--target", target]).output
        for target in ("mcu", "mcu:nmemu://unicorn_m4", f"mcu:nmemu://unicorn_m4?flash={tmp_path / 'flash'}")
    }
    assert ["ends with this command" in text for text in said.values()] == [True, True, False]


def test_the_command_names_what_stores_a_program(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["store", "--confirm", "--target", f"mcu:nmposix://?flash={tmp_path / 'flash'}"])
    assert "`neuromorph store MODEL` stores one" in str(done.exception)


def test_a_board_takes_no_lower_security_counter_than_it_confirmed(target: str, program: Program) -> None:
    """Not after the power was off, nor when all is forgotten; a program on trial raises nothing yet."""
    older, newer = (replace(program, counter=counter) for counter in (4, 5))
    with nm.open(older, target) as session:
        session.persist()
    with nm.open(newer, target) as session:
        session.persist(trial=True)
    with nm.open(older, target) as session:  # the trial is over: nobody confirmed it
        session.run(steps=1)
    with nm.open(newer, target) as session:
        session.persist()
        with pytest.raises(nm.ImageError, match="rule R11: a program with security counter 5 was confirmed here"):
            session.store.revert()
    with pytest.raises(nm.ImageError, match="compile it with counter=5 or more") as refused:
        nm.open(older, target)
    assert (refused.value.rule, refused.value.offset) == (11, 36)
    with nm.open(newer, target, attach=True) as session:
        assert session.store.info().started
        session.store.forget()
    with pytest.raises(nm.ImageError, match="rule R11"):
        nm.open(older, target)
    with nm.open(newer, target) as session:
        session.run(steps=1)


def test_a_counter_outlives_the_journal_that_told_of_it(tmp_path: Path, program: Program) -> None:
    """The journal moves on to its other sector more than once; a program without a counter is of the lowest."""
    target = f"mcu:nmposix://?flash={tmp_path / 'flash'}"
    with nm.open(replace(program, counter=2**32 - 1), target) as session:
        session.persist()
        for _ in range(150):
            session.run(steps=1)
            session.persist()
    with pytest.raises(nm.ImageError, match="security counter 4294967295 was confirmed"):
        nm.open(program, target)
