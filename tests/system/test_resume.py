"""A run that is stopped, saved and restored ends with the same bits as one that was never stopped, on any machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.examples.digits import STEPS, Digits
from neuromorph.plasticity import Custom, IntrinsicPlasticity, ShortTermPlasticity, ThresholdAdaptation, TraceSpec
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.session import Session
from neuromorph.state import State, items
from neuromorph.stimulus import Stimulus
from neuromorph.testing.programs import Draw, draw
from neuromorph.units import Hz, ms

TARGETS = ("cpu:ref", "cpu", "mcu:m4", "mcu:m0")
Machine = Callable[[Program, str], Session]
StimulusOf = Callable[[Draw], Stimulus]


def cut_of(seed: int, steps: int) -> int:
    """Where the run of a random program is stopped."""
    return int(np.random.default_rng(seed).integers(1, steps))


def finish(session: Session, steps: int, stimulus: Stimulus) -> State:
    session.run(steps=steps - session.now, inputs=stimulus)
    return session.snapshot()


# ------------------------------------------------------------------------------------------------ digits


@pytest.fixture(scope="module")
def digits() -> tuple[Program, Stimulus, int, int]:
    """A network that learns digits, its images, the step in the midst of learning, and the last one."""
    pytest.importorskip("sklearn", reason="pip install 'neuromorph[examples]'")
    shown = Digits(train=8, test=2)
    program = nm.compile(shown.network(), targets=list(TARGETS))
    return program, Stimulus.of(program, {"pixels": shown.spikes()}, shown.steps), 4 * STEPS + 7, shown.steps


@pytest.fixture(scope="module")
def digits_states(
    digits: tuple[Program, Stimulus, int, int], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The state in the midst of learning, saved by each machine."""
    program, stimulus, cut, _ = digits
    paths = {}
    for target in TARGETS:
        with nm.open(program, target) as session:
            session.run(steps=cut, inputs=stimulus)
            assert not np.array_equal(session.read("syn", "w"), program.projections["syn"].weights)
            paths[target] = tmp_path_factory.mktemp("half") / "half.nms"
            session.snapshot().save(paths[target])
    return paths


def test_all_machines_save_the_same_bytes(digits_states: dict[str, Path]) -> None:
    assert len({path.read_bytes() for path in digits_states.values()}) == 1


@pytest.mark.parametrize("onto", TARGETS)
@pytest.mark.parametrize("source", TARGETS)
def test_digits_resume_in_the_midst_of_learning(
    source: str, onto: str, digits: tuple[Program, Stimulus, int, int], digits_states: dict[str, Path], machine: Machine
) -> None:
    program, stimulus, cut, steps = digits
    whole = machine(program, "cpu")
    trace = whole.run(steps=steps, inputs=stimulus)
    resumed = machine(program, onto)
    resumed.restore(State.load(digits_states[source]))
    assert resumed.now == cut
    rest = resumed.run(steps=steps - cut, inputs=stimulus)
    assert resumed.snapshot() == whole.snapshot()
    assert nm.compare(trace.part(cut, steps), rest).equal
    assert len(rest.spikes("cells.spikes")) > 0


def test_digits_resume_in_a_new_process(tmp_path: Path) -> None:
    """The command line: half on an emulated board, saved, then the rest by another process on another machine."""
    pytest.importorskip("sklearn", reason="pip install 'neuromorph[examples]'")

    def run(*arguments: object) -> None:
        command = [sys.executable, "-m", "neuromorph", "run", "digits", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr

    half, end, whole = (tmp_path / f"{name}.nms" for name in ("half", "end", "whole"))
    run("--target", "mcu:m4", "--duration", 0.1, "--save-state", half)
    run("--target", "mcu:m0", "--duration", 0.1, "--load-state", half, "--save-state", end)
    run("--target", "cpu", "--duration", 0.2, "--save-state", whole)
    assert State.load(end) == State.load(whole)
    assert State.load(end).step == 200


# ------------------------------------------------------------------------------------------------ random programs


def check_resume(seed: int, source: str, onto: str, machine: Machine, stimulus_of: StimulusOf) -> Draw:
    drawn = draw(seed)
    stimulus, cut = stimulus_of(drawn), cut_of(seed, drawn.steps)
    whole = machine(drawn.program, "cpu")
    trace = whole.run(steps=drawn.steps, inputs=stimulus)
    first = machine(drawn.program, source)
    first.run(steps=cut, inputs=stimulus)
    resumed = machine(drawn.program, onto)
    resumed.restore(State.from_bytes(first.snapshot().to_bytes()))
    rest = resumed.run(steps=drawn.steps - cut, inputs=stimulus)
    found = nm.compare(trace.part(cut, drawn.steps), rest)
    assert found.equal, f"program {seed} from {source} at step {cut} on {onto}: {found.explain()}"
    assert resumed.snapshot() == whole.snapshot()
    return drawn


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_random_programs_resume_between_specification_and_cpu(
    first: int, machine: Machine, stimulus_of: StimulusOf
) -> None:
    for seed in range(first, first + 15):
        source, onto = (("cpu", "cpu:ref"), ("cpu:ref", "cpu"), ("cpu", "cpu"))[seed % 3]
        check_resume(seed, source, onto, machine, stimulus_of)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "onto"),
    [("mcu:m4", "cpu"), ("cpu", "mcu:m4"), ("mcu:m4", "mcu:m0"), ("mcu:m0", "mcu:m4"), ("mcu:m0", "cpu:ref"),
     ("cpu:ref", "mcu:m0")],
)  # fmt: skip
def test_random_programs_resume_across_boards(
    source: str, onto: str, machine: Machine, stimulus_of: StimulusOf
) -> None:
    for seed in range(60, 65):
        check_resume(seed, source, onto, machine, stimulus_of)


def test_the_cuts_fall_where_it_is_hard(stimulus_of: StimulusOf) -> None:
    """In the programs above: in mid-epoch, spikes under way, refractory periods, entries of the schedule to come."""
    seen = {"mid-epoch": 0, "spikes noted": 0, "delays": 0, "refractory": 0, "schedule": 0, "shared": 0, "synapse": 0}
    for seed in range(65):
        drawn = draw(seed)
        cut, program = cut_of(seed, drawn.steps), drawn.program
        with nm.open(program, "cpu") as session:
            session.run(steps=cut, inputs=stimulus_of(drawn))
            arrays = session.snapshot().arrays(program)
        plastic = [p for p in program.projections.values() if p.rule]
        middle = [p.name for p in plastic if p.rule and cut % p.rule.t_epoch]
        seen["mid-epoch"] += bool(middle)
        seen["spikes noted"] += any(arrays[f"{name}.tx"].any() for name in middle)
        seen["delays"] += any(np.count_nonzero(v.any(1)) > 1 for k, v in arrays.items() if k.endswith(".ring"))
        seen["refractory"] += any(v.any() for k, v in arrays.items() if k.endswith(".refr"))
        seen["schedule"] += any(entry.step > cut for entry in program.schedule)
        seen[program.rounding] += bool(plastic)
    assert min(seen.values()) >= 5, seen


# ------------------------------------------------------------------------------------------------ sessions


@pytest.fixture
def drawn() -> Draw:
    """A random program with plastic and delayed projections."""
    for seed in range(100):
        found = draw(seed)
        projections = found.program.projections.values()
        if any(p.rule and p.rule.t_epoch > 1 for p in projections) and any(p.max_delay for p in projections):
            return found
    raise LookupError


def test_reset_is_a_new_beginning(target: str, drawn: Draw, machine: Machine, stimulus_of: StimulusOf) -> None:
    stimulus = stimulus_of(drawn)
    session = machine(drawn.program, target)
    fresh = session.snapshot()
    end = finish(session, drawn.steps, stimulus)
    session.reset()
    assert session.now == 0
    assert session.snapshot() == fresh
    assert finish(session, drawn.steps, stimulus) == end


def test_a_state_of_step_0_is_restored(target: str, drawn: Draw, machine: Machine, stimulus_of: StimulusOf) -> None:
    """Also after a run, and with what the schedule switches at step 0."""
    stimulus = stimulus_of(drawn)
    session = machine(drawn.program, target)
    fresh = session.snapshot()
    end = finish(session, drawn.steps, stimulus)
    session.restore(fresh)
    assert session.now == 0
    assert session.snapshot() == fresh
    assert finish(session, drawn.steps, stimulus) == end


def test_a_state_is_restored_twice(target: str, drawn: Draw, machine: Machine, stimulus_of: StimulusOf) -> None:
    stimulus = stimulus_of(drawn)
    session = machine(drawn.program, target)
    session.run(steps=77, inputs=stimulus)
    half = session.snapshot()
    end = finish(session, drawn.steps, stimulus)
    for _ in range(2):
        session.restore(half)
        session.restore(half)
        assert session.snapshot() == half
        assert finish(session, drawn.steps, stimulus) == end


def test_many_short_runs_are_one_long_one(target: str, drawn: Draw, machine: Machine, stimulus_of: StimulusOf) -> None:
    stimulus = stimulus_of(drawn)
    whole = machine(drawn.program, "cpu")
    trace = whole.run(steps=60, inputs=stimulus)
    session = machine(drawn.program, target)
    parts = session.run(steps=0, inputs=stimulus)
    for steps in (1, 1, 2, 3, 5, 8, 13, 0, 27):
        parts = parts.joined(session.run(steps=steps, inputs=stimulus))
    assert nm.compare(trace, parts).equal
    assert session.snapshot() == whole.snapshot()


@pytest.mark.parametrize("seed", [3, 8, 13, 21])
def test_every_state_item_can_be_written_and_read(
    seed: int, target: str, machine: Machine, stimulus_of: StimulusOf
) -> None:
    """Any values in their ranges; and the run goes on from them as on the specification."""
    drawn = draw(seed)
    rng = np.random.default_rng(seed)
    session, reference = machine(drawn.program, target), machine(drawn.program, "cpu:ref")
    for one in (session, reference):
        one.run(steps=50, inputs=stimulus_of(drawn))
    for item in session.items:
        values = drawn_values(rng, item, drawn.program)
        for one in (session, reference):
            one.write(item.object, item.variable, values)
        assert np.array_equal(session.read(item.object, item.variable), values), item.name
    assert session.snapshot() == reference.snapshot()
    stimulus = stimulus_of(drawn)
    found = nm.compare(reference.run(steps=50, inputs=stimulus), session.run(steps=50, inputs=stimulus))
    assert found.equal, found.explain()


def drawn_values(rng: np.random.Generator, item: Any, program: Program) -> Any:
    """Values all over the range of an item, its ends among them."""
    low, high = item.low, item.high
    values = rng.integers(low, high, item.shape, endpoint=True)
    ends = rng.random(item.shape) < 0.4
    values = np.where(ends, rng.choice([low, high], item.shape), values) // item.unit * item.unit
    if item.variable == "refr":
        values = np.minimum(values, program.populations[item.object].per_neuron("refractory"))
    return values


RANGES: dict[str, tuple[int, int]] = {
    "v": (1 - 2**23, 2**23 - 1), "theta": (0, 2**30), "tag_1": (-257, 255), "tag_2": (0, 255), "x2": (0, 127),
    "y1": (0, 127), "y2": (0, 127), "y3": (0, 127), "adapt": (0, 1), "plastic": (0, 1),
}  # fmt: skip
"""Ranges of docs/image.md, section 3."""


def test_every_end_of_a_range_is_taken_and_what_lies_beyond_is_refused(target: str, machine: Machine) -> None:
    """By the machine itself, not only by the session before it."""
    seen = set()
    for seed in range(12):
        program = draw(seed).program
        engine = machine(program, target).engine
        for k, item in enumerate(items(program)):
            if item.variable not in RANGES:
                continue
            low, high = RANGES[item.variable]
            if item.variable == "theta":  # a threshold that drifts has a floor of its own
                low = program.populations[item.object].theta_min
            seen.add(item.variable)
            limits = np.iinfo(item.dtype)
            for good in (low, high):
                engine.write_item(k, 0, item.encode(np.array([good])))
                assert item.dtype.type(np.frombuffer(engine.read_item(k, 0, 1), item.dtype)[0]) == good
            for bad in (low - 1, high + 1):
                if limits.min <= bad <= limits.max:
                    with pytest.raises(nm.ValidationError):
                        engine.write_item(k, 0, item.encode(np.array([bad])))
            assert np.frombuffer(engine.read_item(k, 0, 1), item.dtype)[0] == high
    assert seen == set(RANGES)


def edge(rounding: Any, epoch: int, graded: str) -> Program:
    """A learning projection with a tag_1 and, if graded, payloads in x1."""
    x1 = Trace(0 if graded != "none" else 20, 0, 30.0)
    rule = Rule(
        dw=(Product("x0", 1, 0, (Factor("x1"),)), Product("y0", -1, 0, (Factor("x1"),))),
        dt=(Product("y0", 1, 0, (Factor("t"),)), Product("x0", -7, 8)),
        traces={"x1": x1, "x2": Trace(5, 100, 10.0)}, t_epoch=epoch, seed=3, graded_trace=graded,
    )  # fmt: skip
    pops = [Population("in", 6, "input", graded=graded != "none"), Population("cells", 5, vth=40, du=2000, bias=300)]
    syn = Projection("syn", "in", "cells", np.full((6, 5), 9), 2, "mixed", graded=graded != "none", rule=rule)
    made = build(pops, [syn], rounding=rounding, seed=4)
    return replace(made, probes=tuple(Probe(item.name, item.object, item.variable) for item in items(made)))


@pytest.mark.parametrize("rounding", ["shared", "synapse"])
@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("graded", ["none", "overwrite", "add_wrap"])
def test_values_below_and_above_the_usual_range(
    graded: str, epoch: int, rounding: str, target: str, machine: Machine
) -> None:
    """A tag_1 of -257 lies below its accumulator's range, an x1 of 128 above a trace's (docs/semantics.md, 4)."""
    program = edge(rounding, epoch, graded)
    traces = []
    for name in ("cpu:ref", target):
        session = machine(program, name)
        session.run(steps=epoch + 1, inputs={"in": nm.SpikeTrain([1, 1], [0, 2])})
        tags = np.zeros((6, 5), np.int64)
        tags[1:4, ::2] = -257
        session.write("syn", "tag_1", tags)
        if graded != "none":
            session.write("syn", "x1", [128, 0, 128, 127, 1, 128])
        payloads = [9, 250, -4, 256, 1, 77] if graded != "none" else None
        spikes = nm.SpikeTrain([3, 3, 7, 12, 12, 20], [1, 5, 2, 0, 1, 3], payloads)
        traces.append(session.run(steps=40, inputs={"in": spikes}))
    found = nm.compare(*traces)
    assert found.equal, found.explain()
    assert np.any(np.asarray(traces[0].states("syn.tag_1").values) <= -256)


# ------------------------------------------------------------------------------------------------ all that is learned


def everything(rounding: str) -> Program:
    """A network that learns in every way: w, both tags, traces, thresholds, modulators and release, by a schedule."""
    net = nm.Network(name="everything", seed=4)
    noise, reward = net.input(12, name="noise"), net.input(1, name="reward", graded=True)
    drift = IntrinsicPlasticity(target_rate=20 * Hz, increment=0.05, floor=-0.5)
    cells = net.population(6, nm.LIF(tau_m=20 * ms, tau_s=4 * ms, refractory=2 * ms, homeostasis=drift), name="cells")
    slow = ThresholdAdaptation(increment=0.03, tau=0.5)
    others = net.population(5, nm.LIF(tau_m=10 * ms, tau_s=5 * ms, homeostasis=slow), name="others")
    dopamine = net.modulator(sources={reward: 0.1}, tau=0.2, full_scale=2.0, name="dopamine")
    rate = net.rate(cells, tau=0.3, full_scale=100 * Hz, name="rate")
    rule = Custom(
        dw="2^-4*x1*y0 - 2^-5*x0*y1 + 2^-4*u0*t*reward - 2^-3*y0*x2*rate", dd="2^-3*x1*y0 - 2^-4*y1*x0",
        dt="2^-3*x1*y0*y2 - 2^-3*x0*y3", w_max=1.0, modulators={"reward": dopamine, "rate": rate}, epoch=4 * ms,
        traces={name: TraceSpec(30, tau * ms) for name, tau in
                {"x1": 20, "x2": 60, "y1": 25, "y2": 40, "y3": 10}.items()},
    )  # fmt: skip
    tires = ShortTermPlasticity(U=nm.Uniform(0.2, 0.6), tau_rec=200 * ms, tau_facil=80 * ms, learned_use=True)
    net.connect(noise, cells, weights=nm.Uniform(0.5, 0.9), plasticity=rule, short_term=tires, delay=3 * ms, name="syn")
    static = ShortTermPlasticity(U=0.4, tau_rec=300 * ms)
    net.connect(
        cells, others, weights=0.6, topology=nm.FixedProbability(0.7), short_term=static,
        delay=nm.Uniform(1 * ms, 5 * ms), name="on",
    )  # fmt: skip
    net.phase(0.1, plasticity=False, modulators={dopamine: 1.0})
    net.phase(0.18, plasticity=True, adaptation={cells: False})
    net.phase(0.31, adaptation=True)
    net.probe(cells, "spikes")
    net.probe(others, "spikes")
    return nm.compile(net, targets=["cpu:ref", "cpu", "mcu"], rounding=rounding)  # type: ignore[arg-type]


@pytest.mark.parametrize("rounding", ["synapse", "shared"])
def test_all_that_is_learned_goes_on_over_three_machines(rounding: str, tmp_path: Path, machine: Machine) -> None:
    """cpu, then mcu, then cpu:ref, each from the program's and the state's files; cpu without a pause beside it."""
    program, cuts = everything(rounding), (150, 290, 420)
    program.save(tmp_path / "net.nmi")
    inputs = {"noise": nm.Poisson(120 * Hz), "reward": nm.SpikeTrain([40, 160, 300], [0, 0, 0], [5, -3, 9])}
    stimulus = Stimulus.of(program, inputs, cuts[-1])
    whole = machine(program, "cpu")
    trace = whole.run(steps=cuts[-1], inputs=stimulus)
    start = machine(program, "cpu").snapshot().arrays(program)
    done = 0
    for target, cut in zip(("cpu", "mcu:m4", "cpu:ref"), cuts, strict=True):
        session = machine(nm.Program.load(tmp_path / "net.nmi"), target)
        assert session.program.digest == program.digest
        if done:
            session.restore(State.load(tmp_path / "half.nms"))
            assert session.now == done
        part = session.run(steps=cut - done, inputs=stimulus)
        found = nm.compare(trace.part(done, cut), part)
        assert found.equal, f"{target}: {found.explain()}"
        session.snapshot().save(tmp_path / "half.nms")
        done = cut
    assert State.load(tmp_path / "half.nms") == whole.snapshot()
    end = whole.snapshot().arrays(program)
    switches = {"cells.adapt", "others.adapt", "syn.plastic"}  # the schedule has turned them on again
    passing = {name for name in end if name.endswith((".refr", ".tx", ".ty", ".ring"))}
    still = {name for name in end if np.array_equal(end[name], start[name])} - switches - passing
    assert not still, "items that nothing has moved show nothing"
