"""What goes wrong while a program runs, on every machine: one error in bounded time, and everything else as it was."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import CapacityError, ImageError, LinkError, NeuromorphError, ValidationError
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.session import Session
from neuromorph.state import State
from neuromorph.stimulus import Stimulus
from neuromorph.testing.programs import draw

Machine = Callable[[Program, str], Session]
STEPS = 600


def small(bias: int = 700, n: int = 6) -> Program:
    """A plain and a graded input on leaky cells, which are driven by a bias too."""
    rng = np.random.default_rng(1)
    return build(
        [
            Population("plain", 8, "input"),
            Population("graded", 4, "input", graded=True),
            Population("cells", n, du=900, dv=150, vth=90, bias=bias),
        ],
        [
            Projection("a", "plain", "cells", rng.integers(0, 100, (8, n)), 3, "exc", 2),
            Projection("b", "graded", "cells", rng.integers(-30, 30, (4, n)), graded=True),
        ],
        probes=(Probe("spikes", "cells", "spikes"), Probe("v", "cells", "v"), Probe("in", "graded", "spikes")),
        name="small",
    )  # fmt: skip


def inputs(steps: int = STEPS) -> dict[str, nm.SpikeTrain]:
    rng = np.random.default_rng(2)
    plain, graded = rng.random((steps, 8)) < 0.2, rng.integers(-50, 50, (steps, 4)) * (rng.random((steps, 4)) < 0.3)
    t, i = np.nonzero(plain)
    u, j = np.nonzero(graded)
    return {"plain": nm.SpikeTrain(t + 1, i), "graded": nm.SpikeTrain(u + 1, j, graded[u, j])}


@pytest.fixture
def program() -> Program:
    return small()


@pytest.fixture
def stimulus(program: Program) -> Stimulus:
    return Stimulus.of(program, inputs(), STEPS)


@pytest.fixture
def whole(program: Program, stimulus: Stimulus, machine: Machine) -> tuple[nm.Trace, State]:
    """The run as it should be."""
    session = machine(program, "cpu:ref")
    return session.run(steps=STEPS, inputs=stimulus), session.snapshot()


# ------------------------------------------------------------------------------------------------ input records


def record(step: int, obj: int, form: int, values: list[int], payloads: tuple[int, ...] = (), **head: int) -> bytes:
    count = head.get("count", len(values))
    zero, first, end = head.get("zero", 0), head.get("first", 0), head.get("end", 0)
    data = struct.pack("<IHBBIHH", step, obj, form, zero, first, count, end) + struct.pack(f"<{len(values)}H", *values)
    return data + bytes(-len(data) % 4) + struct.pack(f"<{len(payloads)}i", *payloads)


GOOD = record(12, 0, 0, [1, 5])
BAD_RECORDS: dict[str, bytes] = {
    "late": record(10, 0, 0, [1]),
    "of step 0": record(0, 0, 0, [1]),
    "after the end of the run": record(31, 0, 0, [1]),
    "steps that fall": GOOD + record(11, 0, 0, [2]),
    "cut within its head": GOOD + record(13, 0, 0, [1])[:10],
    "cut within its values": GOOD + record(13, 0, 0, [1, 2, 3, 4])[:-4],
    "more values than bytes": record(13, 0, 0, [1], count=60000),
    "no such object": record(13, 7, 0, [1]),
    "an object that is no input": record(13, 2, 0, [1]),
    "an index out of range": record(13, 0, 0, [1, 8]),
    "an index out of range by its first index": record(13, 0, 0, [1], first=65536),
    "an odd first index": record(13, 0, 0, [1], first=1),
    "an index twice": record(13, 0, 0, [3, 3]),
    "an index twice, in two records": record(13, 0, 0, [3]) + record(13, 0, 0, [3]),
    "indices that fall": record(13, 0, 0, [5, 3]),
    "payloads for an input without": record(13, 0, 1, [1], (4,)),
    "a payload over 2^23 - 1": record(13, 1, 1, [1], (1 << 23,)),
    "a payload of -2^31": record(13, 1, 1, [1], (-(1 << 31),)),
    "values instead of spikes": record(13, 0, 4, [1, 0]),
    "an unknown format": record(13, 0, 9, [1]),
    "a reserved byte": record(13, 0, 0, [1], zero=1),
    "reserved bytes at the end": record(13, 0, 0, [1], end=1),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_bad_input_records(name: str, target: str, program: Program, machine: Machine) -> None:
    """Below the session, which makes none of these; the engine stays usable."""
    session = machine(program, target)
    session.run(steps=10)
    engine = session.engine
    with pytest.raises(ValidationError):
        engine.run(20, BAD_RECORDS[name], lambda _: None)
    assert 10 <= session.now <= 30
    session.reset()
    stimulus = Stimulus.of(program, inputs(50), 50)
    other = machine(program, "cpu:ref")
    assert nm.compare(other.run(steps=50, inputs=stimulus), session.run(steps=50, inputs=stimulus)).equal
    assert session.snapshot() == other.snapshot()


# ------------------------------------------------------------------------------------------------ programs and states


def too_large() -> Program:
    return small(n=40_000)


BAD_IMAGES: dict[str, tuple[Callable[[bytes], bytes], type[NeuromorphError]]] = {
    "empty": (lambda _: b"", ImageError),
    "one byte": (lambda _: b"N", ImageError),
    "text": (lambda _: b"hello" * 100, ImageError),
    "truncated": (lambda image: image[:-1], ImageError),
    "half": (lambda image: image[: len(image) // 2], ImageError),
    "extended": (lambda image: image + bytes(8), ImageError),
    "a flipped bit": (lambda image: image[:-9] + bytes([image[-9] ^ 4]) + image[-8:], ImageError),
    "a state": (lambda _: State("0" * 64, 0, 0, 0, b"").to_bytes(), ImageError),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_rejected_image_leaves_the_running_program(
    name: str, target: str, program: Program, stimulus: Stimulus, whole: tuple[nm.Trace, State], machine: Machine
) -> None:
    change, error = BAD_IMAGES[name]
    session = machine(program, target)
    first = session.run(steps=100, inputs=stimulus)
    with pytest.raises(error):
        session.engine.load(change(small(bias=800).image))
    rest = session.run(steps=STEPS - 100, inputs=stimulus)
    assert nm.compare(whole[0], first.joined(rest)).equal


@pytest.mark.parametrize("board", ["mcu:m4", "mcu:m0"])
def test_a_program_that_a_board_cannot_hold(
    board: str, program: Program, stimulus: Stimulus, whole: tuple[nm.Trace, State], machine: Machine
) -> None:
    """Refused by the board itself, with need and limit; the running program goes on."""
    session = machine(program, board)
    first = session.run(steps=100, inputs=stimulus)
    with pytest.raises(CapacityError, match=r"needs \d+ bytes of memory, the board has \d+"):
        session.engine.load(too_large().image)
    rest = session.run(steps=STEPS - 100, inputs=stimulus)
    assert nm.compare(whole[0], first.joined(rest)).equal


@pytest.mark.parametrize("board", ["mcu", "mcu:m4", "mcu:m3", "mcu:m0"])
def test_a_network_that_a_board_cannot_hold_is_not_compiled(board: str) -> None:
    net = nm.Network(name="large", seed=1)
    source = net.input(2000, name="source")
    cells = net.population(1000, nm.LIF(tau_m=0.02), name="cells")
    net.connect(source, cells, weights=0.1, name="syn")
    with pytest.raises(CapacityError, match=r"large.*\d+ bytes, limit \d+.*'syn' with 2000000 synapses"):
        nm.compile(net, target=board)
    with pytest.raises(CapacityError):
        nm.open(net, board)


def test_a_state_with_a_random_value_changed_is_refused_or_runs_everywhere(machine: Machine) -> None:
    """With its checksums right. What is refused leaves the machine as it was."""
    rng = np.random.default_rng(3)
    accepted = 0
    for seed in range(8):
        program = draw(seed).program
        sessions = [machine(program, target) for target in ("cpu", "cpu:ref")]
        sessions[0].run(steps=50)
        state = sessions[0].snapshot()
        for _ in range(12):
            data = bytearray(state.data)
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
            changed = State.from_bytes(replace(state, data=bytes(data)).to_bytes())
            ends: list[State | None] = []
            for session in sessions:
                session.restore(state)
                try:
                    session.restore(changed)
                except ImageError:
                    assert session.snapshot() == state
                    ends.append(None)
                    continue
                session.run(steps=20)
                ends.append(session.snapshot())
            assert ends[0] == ends[1]
            accepted += ends[0] is not None
    assert 10 < accepted < 96


BAD_STATES: dict[str, Callable[[State], State]] = {
    "another program": lambda state: replace(state, digest="ab" * 32),
    "an item less": lambda state: replace(state, count=state.count - 1),
    "four bytes less": lambda state: replace(state, data=state.data[:-4]),
    "four bytes more": lambda state: replace(state, data=state.data + bytes(4)),
    "a stream position": lambda state: replace(state, position=8),
    "v of 2^23": lambda state: replace(state, data=bytes(4 * 6) + struct.pack("<i", 1 << 23) + state.data[28:]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_STATES)
def test_a_state_that_does_not_fit_is_refused(
    name: str, target: str, program: Program, stimulus: Stimulus, machine: Machine
) -> None:
    session = machine(program, target)
    session.run(steps=30, inputs=stimulus)
    before = session.snapshot()
    with pytest.raises(ImageError):
        session.restore(BAD_STATES[name](before))
    assert session.snapshot() == before


def test_every_length_of_a_state_file_is_refused_but_one(program: Program, machine: Machine, tmp_path: Any) -> None:
    session = machine(program, "cpu")
    session.run(steps=30)
    raw = session.snapshot().to_bytes()
    path = tmp_path / "state.nms"
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(ImageError):
            State.load(path)
    path.write_bytes(raw + bytes(1 << 16))
    with pytest.raises(ImageError):
        State.load(path)


# ------------------------------------------------------------------------------------------------ boards that fail


def silent(session: Session) -> None:
    """From now on the line carries nothing in either direction; the clock goes on."""
    board = session.engine.port.machine  # type: ignore[attr-defined]
    board._from_board.clear()

    def run(millis: int) -> None:
        board.millis += millis

    board.run = run


def reset(session: Session) -> None:
    """Someone presses the board's reset button."""
    session.engine.port.machine.reset()  # type: ignore[attr-defined]


@pytest.mark.parametrize("board", ["mcu:m4", "mcu:m0"])
@pytest.mark.parametrize("fault", [silent, reset])
def test_a_board_that_fails_in_mid_run(
    fault: Callable[[Session], None], board: str, whole: tuple[nm.Trace, State], program: Program, stimulus: Stimulus,
    machine: Machine, tmp_path: Any,
) -> None:  # fmt: skip
    """What had been recorded is right and can be saved; the image's file, the saved state and a new session work."""
    image, saved = tmp_path / "small.nmi", tmp_path / "half.nms"
    program.save(image)
    session = machine(program, board)
    session.run(steps=100, inputs=stimulus)
    session.snapshot().save(saved)
    files = image.read_bytes(), saved.read_bytes()
    done: list[int] = []

    def progress(step: int, _: int) -> None:
        done.append(step)
        if len(done) == 2:
            fault(session)

    with pytest.raises(LinkError, match=r"step \d+ of 101\.\.600") as caught:
        session.run(steps=STEPS - 100, inputs=stimulus, progress=progress)
    partial = caught.value.trace
    assert partial is not None
    assert partial is session.partial
    assert not partial.complete
    assert 100 < partial.stop < STEPS
    assert nm.compare(whole[0].part(100, partial.stop), partial).equal
    partial.save(tmp_path / "part.npz")
    assert nm.Trace.load(tmp_path / "part.npz").stop == partial.stop
    with pytest.raises(LinkError):
        session.run(steps=1)
    assert (image.read_bytes(), saved.read_bytes()) == files
    again = machine(Program.load(image), board)
    again.restore(State.load(saved))
    again.run(steps=STEPS - 100, inputs=stimulus)
    assert again.snapshot() == whole[1]


@pytest.mark.parametrize("fault", [silent, reset])
@pytest.mark.parametrize(
    "call",
    [Session.snapshot, Session.reset, lambda s: s.write("cells", "v", 3), lambda s: s.engine.load(small().image)],
    ids=["snapshot", "reset", "write", "load"],
)
def test_a_board_that_fails_between_runs(
    fault: Callable[[Session], None], call: Callable[[Session], Any], program: Program, machine: Machine
) -> None:
    session = machine(program, "mcu:m4")
    session.run(steps=10)
    fault(session)
    with pytest.raises(LinkError):
        call(session)


# ------------------------------------------------------------------------------------------------ interrupts


def test_an_interrupt_leaves_a_session_that_goes_on(
    target: str, program: Program, stimulus: Stimulus, whole: tuple[nm.Trace, State], machine: Machine
) -> None:
    """Ctrl-C in mid-run: the partial trace is right, and the rest of the run ends with the same bits."""
    session = machine(program, target)

    def interrupt(done: int, _: int) -> None:
        if done < STEPS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run(steps=STEPS, inputs=stimulus, progress=interrupt)
    partial = session.partial
    assert partial is not None
    assert 0 < partial.stop <= session.now < STEPS
    assert nm.compare(whole[0].part(0, partial.stop), partial).equal
    start = session.now
    rest = session.run(steps=STEPS - start, inputs=stimulus)
    assert nm.compare(whole[0].part(start, STEPS), rest).equal
    assert session.snapshot() == whole[1]


SIGNAL = """
import _thread, signal, sys, threading
import neuromorph as nm
from neuromorph.program import Population, Projection, Probe, build
import numpy as np
target = sys.argv[1]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background may have it ignored
cells = Population("cells", 400, du=900, dv=150, vth=90, bias=700)
syn = Projection("p", "cells", "cells", np.full((400, 400), 2))
program = build([cells], [syn], probes=(Probe("v", "cells", "v", 5),))
with nm.open(program, target) as session:
    timer = threading.Timer(1.0, _thread.interrupt_main)
    timer.start()
    try:
        session.run(steps=100_000_000)
    except KeyboardInterrupt:
        now, partial = session.now, session.partial
        session.run(steps=3)
        print(session.now - now, 0 < partial.stop <= now)
"""


@pytest.mark.parametrize("target", ["cpu", "cpu:ref", "mcu:m4"])
def test_a_signal_ends_a_long_run_soon(target: str) -> None:
    """Also where all the time is spent in C."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL, target], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["3", "True"], done.stderr


# ------------------------------------------------------------------------------------------------ streaming


def stream(n: int, steps: int) -> tuple[Program, Stimulus, int]:
    """A program whose graded inputs and traces are large; and the bytes of its inputs."""
    rng = np.random.default_rng(4)
    program = build(
        [Population("source", n, "input", graded=True), Population("cells", 100, du=2000, dv=300, vth=2000)],
        [Projection("syn", "source", "cells", rng.integers(-50, 50, (n, 100)), graded=True)],
        probes=(Probe("source", "source", "spikes"), Probe("v", "cells", "v"), Probe("s", "cells", "spikes")),
    )
    payloads = rng.integers(1, 256, (steps, n)) * (rng.random((steps, n)) < 0.9)
    t, i = np.nonzero(payloads)
    stimulus = Stimulus.of(program, {"source": nm.SpikeTrain(t + 1, i, payloads[t, i])}, steps)
    return program, stimulus, len(stimulus.records(0, steps))


@pytest.mark.parametrize("board", ["mcu:m4", "mcu:m0"])
def test_inputs_and_traces_larger_than_the_board_stream_through(board: str, machine: Machine) -> None:
    steps = 700
    program, stimulus, size = stream(300, steps)
    session = machine(program, board)
    assert size > session.engine.hello.pool  # type: ignore[attr-defined]
    done: list[int] = []
    trace = session.run(steps=steps, inputs=stimulus, progress=lambda step, _: done.append(step))
    spikes, v = trace.spikes("source"), trace.states("v")
    assert 6 * len(spikes) + v.values.nbytes > session.engine.hello.pool  # type: ignore[attr-defined]
    expected = machine(program, "cpu").run(steps=steps, inputs=stimulus)
    assert nm.compare(expected, trace).equal
    assert len(spikes) == stimulus.events[0].steps.size
    assert done == sorted(done)
    assert done[-1] == steps
    assert len(set(done)) > 3


def test_a_step_that_is_larger_than_the_board_takes_ahead(machine: Machine) -> None:
    """Refused before the run, with need and limit."""
    program, stimulus, _ = stream(4000, 3)
    session = machine(program, "mcu:m4")
    credit = session.engine.hello.credit  # type: ignore[attr-defined]
    assert credit < 6 * 3000
    with pytest.raises(CapacityError, match=rf"inputs of step 1 take \d+ bytes, the board holds {credit} ahead"):
        session.run(steps=3, inputs=stimulus)
    assert session.now == 0


def test_traces_larger_than_the_output_buffer(target: str, machine: Machine) -> None:
    """The engine stops for each full buffer and goes on where it was; one step may be larger than a message."""
    n = 9000 if target.startswith("mcu") else 40_000
    steps = 4 if target.startswith("mcu") else 16
    program = build(
        [Population("cells", n, du=900, dv=150, vth=90, bias=np.arange(n) % 997)], [],
        probes=(Probe("s", "cells", "spikes"), Probe("u", "cells", "u"), Probe("v", "cells", "v", 3, 1)),
    )  # fmt: skip
    expected = machine(program, "cpu:ref").run(steps=steps)
    assert nm.compare(expected, machine(program, target).run(steps=steps)).equal
    u = expected.states("u").values
    assert u.shape == (steps, n)
