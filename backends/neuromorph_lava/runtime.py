"""Lava's real runtime: an operating-system process for each Process, outputs recorded inside of the models.

Each run compiles the network anew, with the present state put into the models before their first step, and stops the
runtime at its end. Recordings lie in anonymous memory shared with Lava's processes: no file, no segment to clean up.
"""

from __future__ import annotations

import mmap
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer
from numpy.typing import NDArray

from neuromorph.errors import CapacityError, TargetError
from neuromorph.image import decode
from neuromorph.program import Program
from neuromorph.state import Item, items
from neuromorph.stepped import Inputs
from neuromorph.worker.machine import Counters, plastic_updates
from neuromorph_lava.holds import check_inputs, check_program
from neuromorph_lava.lower import connection, modulator, neurons, readers, setup_of, starting_state

__all__ = ["RuntimeMachine"]

Ints = NDArray[np.int64]
Series = tuple[str, int, int]
"""A recorded variable, and when: variable, every, phase."""
STALL = 6.0
"""Seconds without a step, once the first one is done, after which the runtime counts as hung."""
START = 60.0
RECORD_MAX = 1 << 31
ERROR_BYTES = 4096


def shared_array(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that forked processes see too."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, mmap.mmap(-1, max(1, size)))


@dataclass
class Log:
    """What a model records.

    `series` has a row for each step that is due, `final` the items after the last step; `progress` holds the last
    step and the plastic updates; `error` what a model raised, as bytes.
    """

    start: int
    steps: int
    series: dict[Series, NDArray[Any]] = field(default_factory=dict)
    spikes: NDArray[np.int8] | None = None
    final: dict[str, NDArray[Any]] = field(default_factory=dict)
    progress: NDArray[np.int64] = field(default_factory=lambda: shared_array((2,), np.int64))
    error: NDArray[np.uint8] = field(default_factory=lambda: shared_array((ERROR_BYTES,), np.uint8))

    def row(self, key: Series, step: int) -> int | None:
        """Row of a step in a series, None where it is not due."""
        _, every, phase = key
        if step % every != phase % every:
            return None
        first = self.start + 1
        first += (phase - first) % every
        return (step - first) // every

    def rows(self, every: int, phase: int) -> int:
        """Rows of a series."""
        first = self.start + 1
        first += (phase - first) % every
        return max(0, (self.start + self.steps - first) // every + 1)


class Recorded:
    """Start from a state, record after the learning phase, keep what a model raises: Lava would hang without a word."""

    time_step: int
    proc_params: Any
    _started = False
    _seen = -1

    def run_spk(self) -> None:
        """The spiking phase."""
        self._kept(self._spiking)

    def _spiking(self) -> None:
        if not self._started:
            self._started = True
            self.start_from_setup()  # type: ignore[attr-defined]
            self.time_step += 1
        super().run_spk()  # type: ignore[misc]
        model: Any = self
        log: Log = self.proc_params["log"]
        if log.spikes is not None:
            log.spikes[self.time_step - log.start - 1] = model.sent()
        log.progress[0] = self.time_step

    def run_lrn(self) -> None:
        """The learning phase."""
        self._kept(super().run_lrn)  # type: ignore[misc]
        model: Any = self
        if model.plastic[0]:
            proj = model.setup.object
            updates = plastic_updates(proj, self.time_step // proj.rule.t_epoch, *model.updates)
            self.proc_params["log"].progress[1] += updates

    def post_guard(self) -> bool:
        """Whether the state is recorded or a switch acts in this step: the phase costs time."""
        model: Any = self
        log: Log = self.proc_params["log"]
        return (
            self.time_step == log.start + log.steps
            or any(log.row(key, self.time_step) is not None for key in log.series)
            or any(step == self.time_step for step, _ in model.setup.schedule)
        )

    def run_post_mgmt(self) -> None:
        """Record; Lava may ask twice in a step."""
        if self.time_step != self._seen:
            self._seen = self.time_step
            self._kept(self._record)

    def _record(self) -> None:
        model: Any = self
        log: Log = model.proc_params["log"]
        step = model.time_step
        model.manage()
        for key, rows in log.series.items():
            row = log.row(key, step)
            if row is not None:
                rows[row] = np.ravel(model.get(key[0]))
        if step == log.start + log.steps:
            for variable, values in log.final.items():
                values[:] = np.ravel(model.get(variable))

    def _kept(self, phase: Any) -> None:
        try:
            phase()
        except BaseException:
            text = traceback.format_exc().encode()[-ERROR_BYTES:]
            self.proc_params["log"].error[: len(text)] = np.frombuffer(text, np.uint8)
            raise


class RunConfig(Loihi2SimCfg):
    """Lava's choice of fixed-point models, but for processes that bring theirs."""

    def __init__(self) -> None:
        super().__init__(select_tag="fixed_pt")

    def select(self, process: Any, proc_models: Any) -> Any:
        """The model of a process."""
        return process.proc_params.get("model") or super().select(process, proc_models)


class RuntimeMachine:
    """A program in Lava's runtime."""

    def __init__(self, image: bytes) -> None:
        self.program = decode(image)
        check_program(self.program)
        self._items = items(self.program)
        self.reset()

    def reset(self) -> None:
        """Step 0."""
        self.t = 0
        self.counters = Counters(self.program)
        self._state = starting_state(self.program)
        self._logs: dict[str, Log] = {}
        self._sent: dict[str, Ints] = {}

    def advance(self, steps: int, inputs: Inputs) -> Iterator[None]:
        """Run all steps, then show them one by one."""
        if not steps:
            return
        check_inputs(self.program, inputs)
        start = self.t
        self._logs = self._new_logs(start, steps)
        given = self._given(start, steps, inputs)
        for group in _components(self.program):
            _watched(_Network(self.program, group, self._state, self._logs, given, start, steps))
        for log in self._logs.values():
            self.counters["plastic_updates"] += int(log.progress[1])
        for step in range(start + 1, start + steps + 1):
            self.t = step
            self._sent = {name: values[step - start - 1] for name, values in given.items()}
            for name, log in self._logs.items():
                if log.spikes is not None:
                    self._sent[name] = log.spikes[step - start - 1].astype(np.int64)
            for name, payload in self._sent.items():
                self.counters.count(name, payload)
            yield
        self._finish()

    def _finish(self) -> None:
        for item in self._items:
            values = self._logs[item.object].final[item.variable]
            self._state[item.object, item.variable] = values.astype(np.int64).reshape(item.shape)
        self._logs = {}

    def _new_logs(self, start: int, steps: int) -> dict[str, Log]:
        logs: dict[str, Log] = {}
        by_name = {(item.object, item.variable): item for item in self._items}
        for name, pop in self.program.populations.items():
            if pop.kind != "input":
                logs[name] = Log(start, steps, spikes=shared_array((steps, pop.n), np.int8))
        for name in (*self.program.projections, *self.program.modulators):
            logs[name] = Log(start, steps)
        size = 0
        for probe in self.program.probes:
            if probe.variable == "spikes":
                continue
            item, log = by_name[probe.object, probe.variable], logs[probe.object]
            key, rows = (probe.variable, probe.every, probe.phase), log.rows(probe.every, probe.phase)
            size += rows * item.size
            if size > RECORD_MAX:
                raise CapacityError(
                    f"the probes record over {RECORD_MAX} bytes in {steps} steps; a run on Lava's runtime is recorded "
                    "as a whole: run fewer steps at once, or sample less often"
                )
            log.series[key] = shared_array((rows, item.count), item.dtype)
        for item in self._items:
            logs[item.object].final[item.variable] = shared_array((item.count,), item.dtype)
        return logs

    def _given(self, start: int, steps: int, inputs: Inputs) -> dict[str, Ints]:
        """Payloads of the inputs, (steps, n)."""
        pops = self.program.populations.values()
        found = {p.name: np.zeros((steps, p.n), np.int64) for p in pops if p.kind == "input"}
        for step, payloads in inputs.items():
            for name, payload in payloads.items():
                found[name][step - start - 1] = payload
        return found

    def spikes(self, population: str) -> Ints:
        """Spikes of the step shown."""
        return self._sent[population]

    def value(self, item: Item) -> Ints:
        """An item: of the step shown while a run is shown, else of the present."""
        log = self._logs.get(item.object)
        if log is None:
            return self._state[item.object, item.variable]
        for key, rows in log.series.items():
            row = log.row(key, self.t)
            if key[0] == item.variable and row is not None:
                return np.asarray(rows[row], np.int64)
        raise TargetError(f"{item.name} was not recorded in step {self.t}")

    def assign(self, item: Item, values: Ints) -> None:
        """Set an item."""
        self._state[item.object, item.variable] = np.array(values)

    def seek(self, step: int) -> None:
        """Set the step; random numbers are placed when a run starts."""
        self.t = step


class _Network:
    """Lava's processes for one connected part of a program."""

    def __init__(
        self, program: Program, names: list[str], state: dict[tuple[str, str], Ints], logs: dict[str, Log],
        given: dict[str, Ints], start: int, steps: int,
    ) -> None:  # fmt: skip
        self.logs = {name: logs[name] for name in names if name in logs}
        self.start, self.steps = start, steps
        self._program, self._names, self._state, self._given = program, names, state, given

    def run(self) -> None:
        """Compile, run, and stop in any case: without it Lava's processes stay."""
        processes = self._build()
        try:
            processes[0].run(condition=RunSteps(num_steps=self.steps), run_cfg=RunConfig())
        finally:
            processes[0].stop()

    def _build(self) -> list[Any]:
        program = self._program
        made: dict[str, Any] = {}
        for name in self._names:
            pop = program.populations.get(name)
            if pop is not None and pop.kind == "input":
                made[name] = RingBuffer(data=self._given[name].T.astype(np.int32))
                continue
            setup = setup_of(program, name, self._state, self.start)
            if pop is not None:
                process, model = neurons(pop, setup)
            else:
                process, model = (modulator if name in program.modulators else connection)(program, name, setup)
            process.proc_params["model"] = type(f"Recorded{model.__name__}", (Recorded, model), {})
            process.proc_params["log"] = self.logs[name]
            made[name] = process
        for name, proj in program.projections.items():
            if name in made:
                made[proj.pre].s_out.connect(made[name].s_in)
                made[name].a_out.connect(made[proj.post].a_in)
                if proj.rule is not None:
                    made[proj.post].s_out.connect(made[name].s_in_bap)
        for name, held in program.modulators.items():
            if name in made:
                for k, (source, _) in enumerate(held.sources):
                    made[source].s_out.connect(getattr(made[name], f"s_in_{k}"))
                for k, (reader, port) in enumerate(readers(program, name)):
                    getattr(made[name], f"y_{k}").connect(getattr(made[reader], port))
        return list(made.values())


def _watched(network: _Network) -> None:
    """Run a network; TargetError if a model raises or no step is done for a while."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            network.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    before, since = network.start, time.monotonic()
    while thread.is_alive():
        thread.join(0.05)
        for name, log in network.logs.items():
            if log.error[0]:
                time.sleep(0.05)  # let it be written whole
                text = log.error.tobytes().rstrip(b"\0").decode(errors="replace")
                raise TargetError(f"Lava's model of {name!r} failed at step {int(log.progress[0]) + 1}:\n{text}")
        step = min((int(log.progress[0]) for log in network.logs.values()), default=network.start)
        if step > before:
            before, since = step, time.monotonic()
        limit = STALL if before > network.start else START
        if time.monotonic() - since > limit:
            raise TargetError(f"Lava's runtime has hung: no step after {before} in {limit:.0f} s")
    if failed:
        raise TargetError(f"Lava's runtime failed: {failed[0]!r}") from failed[0]


def _components(program: Program) -> list[list[str]]:
    """Names of the objects of each connected part: Lava compiles only what is connected."""
    group = {name: name for name in (*program.populations, *program.modulators)}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for proj in program.projections.values():
        group[root(proj.pre)] = root(proj.post)
    for name, held in program.modulators.items():
        for source, _ in held.sources:
            group[root(source)] = root(name)
        for reader, _ in readers(program, name):
            group[root(program.projections[reader].post)] = root(name)
    parts: dict[str, list[str]] = {}
    for name in group:
        parts.setdefault(root(name), []).append(name)
    for name, proj in program.projections.items():
        parts[root(proj.post)].append(name)
    idle = {name for name, pop in program.populations.items() if pop.kind == "input"}
    return [part for part in parts.values() if not idle.issuperset(part)]
