"""Lava's fixed-point ProcessModels with their state as canonical items, and those that Lava lacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lava.proc.dense.models import (
    PyDelayDenseModelBitAcc,
    PyDenseModelBitAcc,
    PyLearningDenseModelBitApproximate,
)
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc, PyTernLifModelFixed
from lava.proc.sparse.models import (
    PyDelaySparseModelBitAcc,
    PyLearningSparseModelBitApproximate,
    PySparseModelBitAcc,
)
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from neuromorph_lava.processes.modulator import ModulatorModel

__all__ = [
    "TAGS", "DelayDense", "DelaySparse", "Dense", "ExtendedLif", "LearningDense", "LearningSparse", "Lif", "LifReset",
    "Modulator", "Setup", "Sparse", "TernaryLif",
]  # fmt: skip

Ints = NDArray[np.int64]
THETA_MAX = 1 << 30
TAGS = ("tag_1", "tag_2")


@dataclass
class Setup:
    """What a model starts from, in its process's parameter "neuromorph".

    `object` is the population, projection or modulator, `t` the last step done, `state` its items by variable,
    `schedule` its switches, (step, on), or values, (step, value); `readers` the sizes of what reads a modulator.
    """

    object: Any
    t: int = 0
    state: dict[str, Ints] = field(default_factory=dict)
    schedule: tuple[tuple[int, int], ...] = ()
    readers: tuple[int, ...] = ()


class Driven:
    """State as canonical items; `start_from_setup` once the builder has made all variables."""

    time_step: int

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        self.setup: Setup = proc_params["neuromorph"]

    def start_from_setup(self) -> None:
        """Take over state and step of the setup."""
        self.time_step = self.setup.t
        for variable, values in self.setup.state.items():
            self.put(variable, values)

    def seek(self, step: int) -> None:
        """Another step, the same items."""
        self.time_step = step

    def get(self, variable: str) -> Ints:
        """An item."""
        return np.array(getattr(self, variable), np.int64)

    def put(self, variable: str, values: Ints) -> None:
        """Set an item."""
        getattr(self, variable)[:] = values

    def manage(self) -> None:
        """Entries of the schedule, at the end of a step."""

    def switched(self, now: int) -> int:
        """The switch after this step's entries."""
        for step, on in self.setup.schedule:
            if step == self.time_step:
                now = on
        return now


class Lif(Driven, PyLifModelBitAcc):
    """Lava's LIF."""

    def sent(self) -> Ints:
        """Spikes of this step."""
        return np.asarray(self.s_out_buff, np.int64)


class LifReset(Driven, PyLifResetModelBitAcc):
    """Lava's LIF with a scheduled reset."""

    s_out_buff: Any = 0

    def spiking_activation(self) -> Any:
        """Keep the spikes: Lava's model does not."""
        self.s_out_buff = super().spiking_activation()
        return self.s_out_buff

    def sent(self) -> Ints:
        """Spikes of this step."""
        return np.asarray(self.s_out_buff, np.int64)


class TernaryLif(Driven, PyTernLifModelFixed):
    """Lava's ternary LIF, with a scheduled reset where the population has one."""

    def run_spk(self) -> None:
        """Reset first, then as in Lava."""
        if _is_reset(self.setup.object, self.time_step):
            self.u[:], self.v[:] = 0, 0
        super().run_spk()

    def sent(self) -> Ints:
        """Spikes of this step."""
        return np.asarray(self.s_out_buff, np.int64)


class ExtendedLif(Driven, PyLifModelBitAcc):
    """LIF with a refractory period and an adaptive threshold (docs/semantics.md, 2): Lava has neither in integers."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        n = self.setup.object.n
        self.refr, self.theta = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.adapt = np.ones(1, np.int64)

    def run_spk(self) -> None:
        """One step of docs/semantics.md, section 2; current and voltage by Lava's own code."""
        pop, a_in = self.setup.object, self.a_in.recv()
        if _is_reset(pop, self.time_step):
            self.u[:], self.v[:], self.refr[:] = 0, 0, 0
        self.scale_bias()
        if not self.isthrscaled:
            self.scale_threshold()
        adapting = pop.adaptive and bool(self.adapt[0])
        if adapting and self.time_step % (1 << pop.theta_period) == 0:
            kept = np.sign(self.theta) * (np.abs(self.theta) * (4096 - pop.theta_decay) >> 12)
            self.theta = np.maximum(kept - pop.theta_drift, pop.theta_min)
        held, before = self.refr > 0, self.v.copy()
        self.subthr_dynamics(activation_in=a_in)
        self.v[held] = before[held]
        self.refr[held] -= 1
        self.s_out_buff = ~held & (self.v > self.effective_vth + (self.theta >> pop.theta_frac))
        self.reset_voltage(spike_vector=self.s_out_buff)
        self.refr = np.where(self.s_out_buff, pop.refractory, self.refr)
        if adapting:
            self.theta = np.where(self.s_out_buff, np.minimum(self.theta + pop.theta_inc, THETA_MAX), self.theta)
        self.s_out.send(self.s_out_buff)

    def manage(self) -> None:
        """Switch adaptation."""
        self.adapt[0] = self.switched(self.adapt[0])

    def sent(self) -> Ints:
        """Spikes of this step."""
        return np.asarray(self.s_out_buff, np.int64)


def _is_reset(pop: Any, step: int) -> bool:
    return bool(pop.has_reset and step % pop.reset_interval == pop.reset_offset % pop.reset_interval)


class Modulator(Driven, ModulatorModel):
    """Ours: Lava has rules that read one, and no process that sends one."""

    def manage(self) -> None:
        """Values that the schedule sets."""
        ModulatorModel.manage(self)


class Connection(Driven):
    """A projection: `a_buff` is the ring."""

    a_buff: Any

    def get(self, variable: str) -> Ints:
        """An item; `ring` in slots by arrival step."""
        if variable != "ring":
            return super().get(variable)
        buffer = np.array(self.a_buff, np.int64)
        if buffer.ndim == 1:
            return buffer[None, :]
        slots = buffer.shape[1]
        ring = np.empty((slots, buffer.shape[0]), np.int64)
        ring[(self.time_step + 1 + np.arange(slots)) % slots] = buffer.T
        return ring

    def put(self, variable: str, values: Ints) -> None:
        """Set an item."""
        if variable != "ring":
            super().put(variable, values)
            return
        slots = values.shape[0]
        ordered = values[(self.time_step + 1 + np.arange(slots)) % slots]
        self.a_buff = np.array(ordered[0] if self.a_buff.ndim == 1 else ordered.T, np.int32)

    def seek(self, step: int) -> None:
        """The ring's slots are those of steps: the same slots after it."""
        ring = self.get("ring")
        super().seek(step)
        self.put("ring", ring)


class Dense(Connection, PyDenseModelBitAcc):
    """Lava's Dense."""


class Sparse(Connection, PySparseModelBitAcc):
    """Lava's Sparse."""


class DelayDense(Connection, PyDelayDenseModelBitAcc):
    """Lava's DelayDense."""


class DelaySparse(Connection, PyDelaySparseModelBitAcc):
    """Lava's DelaySparse."""


class Learning(Connection):
    """A plastic projection: its own weights as they are given, and a switch."""

    _learning_rule: Any
    _x_random: Any
    _y_random: Any
    _conn_var_random: Any
    tx: Ints
    ty: Ints

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.weights_set = True  # Lava would make mixed ones even
        self.plastic = np.ones(1, np.int64)
        self.updates: tuple[Ints, Ints] = (np.zeros(0, np.int64), np.zeros(0, np.int64))

    def start_from_setup(self) -> None:
        """Also the random numbers of the step."""
        super().start_from_setup()
        self._place_randoms()

    def seek(self, step: int) -> None:
        """Also the random numbers of the step."""
        super().seek(step)
        self._place_randoms()

    def _place_randoms(self) -> None:
        """Numbers drawn so far: two of each trace stream a step, one for the synapses an epoch (and the first)."""
        seed, drawn = self._learning_rule.rng_seed, 2 * self.time_step
        for random, first in ((self._x_random, seed), (self._y_random, seed + 2)):
            random._rng_trace_decay = _advanced(first, drawn)
            random._rng_impulse_addition = _advanced(first + 1, drawn // 2)  # two to each 64 bits; drawn is even
            random.advance()
        synaptic = self._conn_var_random
        synaptic._rng = _advanced(2, self.time_step // self._learning_rule.t_epoch)
        synaptic.advance()

    def run_lrn(self) -> None:
        """Lava's learning; switched off, traces go on and weights stay."""
        self.updates = np.array(self.tx), np.array(self.ty)
        names = ("w", *(tag for tag in TAGS if tag in self.setup.state))
        before = {} if self.plastic[0] else {name: self.get(name) for name in names}
        super().run_lrn()  # type: ignore[misc]
        for name, values in before.items():
            self.put(name, values)

    def manage(self) -> None:
        """Switch plasticity."""
        self.plastic[0] = self.switched(self.plastic[0])


def _advanced(seed: int, outputs: int) -> np.random.Generator:
    bits = np.random.PCG64(seed)
    bits.advance(outputs)
    return np.random.Generator(bits)


class LearningDense(Learning, PyLearningDenseModelBitApproximate):
    """Lava's LearningDense; also holds sparse projections whose rule its LearningSparse cannot run.

    All products are computed element by element, so a mask after each learning phase makes it exact for these.
    """

    def get(self, variable: str) -> Ints:
        """Weights and tags by source first, or as stored."""
        if variable != "w" and variable not in TAGS:
            return super().get(variable)
        proj = self.setup.object
        values = np.array(self.weights if variable == "w" else getattr(self, variable), np.int64)
        return values.T if proj.indptr is None else values[proj.indices, proj.pre_of]

    def put(self, variable: str, values: Ints) -> None:
        """Set an item."""
        if variable != "w" and variable not in TAGS:
            super().put(variable, values)
            return
        proj = self.setup.object
        held = np.zeros(self.weights.shape, self.weights.dtype if variable == "w" else int)
        if proj.indptr is None:
            held[:] = values.T
        else:
            held[proj.indices, proj.pre_of] = values
        setattr(self, "weights" if variable == "w" else variable, held)

    def run_lrn(self) -> None:
        """No weight where there is no synapse."""
        super().run_lrn()
        proj = self.setup.object
        if proj.indptr is not None:
            for name in ("w", *TAGS):
                self.put(name, self.get(name))


class LearningSparse(Learning, PyLearningSparseModelBitApproximate):
    """Lava's LearningSparse."""

    def get(self, variable: str) -> Ints:
        """Weights and tags as stored."""
        if variable != "w" and variable not in TAGS:
            return super().get(variable)
        proj = self.setup.object
        matrix = self.weights if variable == "w" else getattr(self, variable)
        return np.asarray(matrix[proj.indices, proj.pre_of], np.int64).ravel()

    def put(self, variable: str, values: Ints) -> None:
        """Set an item; zeros stay where they are: they are synapses."""
        if variable != "w" and variable not in TAGS:
            super().put(variable, values)
            return
        proj = self.setup.object
        matrix = csr_matrix((np.array(values, np.int32), (proj.indices, proj.pre_of)), shape=self.weights.shape)
        setattr(self, "weights" if variable == "w" else variable, matrix)
