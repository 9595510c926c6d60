"""Populations and projections as Lava processes, each with the model that runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.proc.dense.process import DelayDense, Dense, LearningDense
from lava.proc.lif.process import LIF, LIFReset, TernaryLIF
from lava.proc.sparse.process import DelaySparse, LearningSparse, Sparse
from lava.utils.weightutils import SignMode
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from neuromorph.program import Population, Program, Projection, ScheduleEntry
from neuromorph.worker.machine import initial_state
from neuromorph_lava import models
from neuromorph_lava.holds import bias_parts, learns_sparse
from neuromorph_lava.models import Setup
from neuromorph_lava.processes.modulator import Modulator, model_of
from neuromorph_lava.rules import lava_rule

__all__ = [
    "connection", "connection_process", "modulator", "neuron_process", "neurons", "readers", "setup_of",
    "starting_state",
]  # fmt: skip

MESSAGE_BITS = 24  # of a graded payload; 0: binary
SIGNS = {"mixed": SignMode.MIXED, "exc": SignMode.EXCITATORY, "inh": SignMode.INHIBITORY}
VARIABLES = {"plasticity": "plastic", "adaptation": "adapt", "modulator": "m"}  # that a schedule sets
GRADED = ("none", "overwrite", "add_saturate", "add_wrap")
Lowered = tuple[Any, type]
Ints = NDArray[np.int64]


def starting_state(program: Program) -> dict[tuple[str, str], Ints]:
    """All items at step 0, the schedule's entries for step 0 applied."""
    state = initial_state(program)
    for entry in program.schedule:
        if entry.step == 0:
            state[entry.object, VARIABLES[entry.operation]][:] = _value(entry)
    return state


def setup_of(program: Program, name: str, state: dict[tuple[str, str], Ints], t: int = 0) -> Setup:
    """What the model of an object starts from."""
    found = program.populations.get(name) or program.projections.get(name) or program.modulators[name]
    own = {variable: values for (owner, variable), values in state.items() if owner == name}
    switches = tuple((entry.step, _value(entry)) for entry in program.schedule if entry.object == name)
    sizes = tuple(program.populations[program.projections[reader].post].n for reader, _ in readers(program, name))
    return Setup(found, t, own, switches, sizes)


def _value(entry: ScheduleEntry) -> int:
    return entry.value if entry.operation == "modulator" else int(entry.on)


def readers(program: Program, name: str) -> list[tuple[str, str]]:
    """Projections whose rules read a modulator, and the port that takes it."""
    return [
        (proj.name, f"s_in_y{k}")
        for proj in program.projections.values() if proj.rule is not None
        for k, modulator in enumerate(proj.rule.modulators, 1) if modulator == name
    ]  # fmt: skip


def modulator(program: Program, name: str, setup: Setup) -> Lowered:
    """Process and model of a modulator."""
    sources = tuple(program.populations[source].n for source, _ in program.modulators[name].sources)
    process = Modulator(sources, setup.readers)
    process.proc_params["neuromorph"] = setup
    return process, model_of(models.Modulator, len(sources), len(setup.readers))


def neuron_process(pop: Population) -> Any:
    """The process of a population, for models that are not ours."""
    return _neurons(pop)[0]


def connection_process(program: Program, name: str) -> Any:
    """The process of a projection, for models that are not ours."""
    proj, pops = program.projections[name], program.populations
    return _connection(proj, pops[proj.pre].n, pops[proj.post].n)[0]


def neurons(pop: Population, setup: Setup) -> Lowered:
    """Process and model of a population."""
    process, model = _neurons(pop)
    process.proc_params["neuromorph"] = setup
    return process, model


def _neurons(pop: Population) -> Lowered:
    mant, exp = bias_parts(pop.per_neuron("bias"))
    values = {
        "shape": (pop.n,), "du": pop.du, "dv": pop.dv, "bias_mant": mant, "bias_exp": exp,
    }  # fmt: skip
    if pop.kind == "ternary":
        return _ternary(pop, values), models.TernaryLif
    if pop.is_refractory or pop.adaptive:
        return LIF(vth=pop.vth, **values), models.ExtendedLif
    if pop.has_reset:
        reset = {"reset_interval": pop.reset_interval, "reset_offset": pop.reset_offset}
        return LIFReset(vth=pop.vth, **values, **reset), models.LifReset
    return LIF(vth=pop.vth, **values), models.Lif


def _ternary(pop: Population, values: dict[str, Any]) -> TernaryLIF:
    process = TernaryLIF(vth_hi=np.atleast_1d(pop.vth), vth_lo=np.atleast_1d(pop.vth_lo), **values)
    for variable in (process.vth_hi, process.vth_lo):
        variable.shape = np.shape(variable.init)  # Lava declares one value for all; its model takes one for each
    return process


def connection(program: Program, name: str, setup: Setup) -> Lowered:
    """Process and model of a projection."""
    proj, pops = program.projections[name], program.populations
    process, model = _connection(proj, pops[proj.pre].n, pops[proj.post].n)
    process.proc_params["neuromorph"] = setup
    return process, model


def _connection(proj: Projection, n_pre: int, n_post: int) -> Lowered:
    options: dict[str, Any] = {
        "weight_exp": proj.weight_exp, "sign_mode": SIGNS[proj.sign_mode],
        "num_message_bits": MESSAGE_BITS if proj.graded else 0,
    }  # fmt: skip
    sparse = proj.indptr is not None

    def matrix(values: Any, dtype: type = np.int32) -> Any:
        """By target first; zeros of a sparse one are kept."""
        held: Any = np.array(np.broadcast_to(values, proj.weights.shape), dtype)
        return csr_matrix((held, (proj.indices, proj.pre_of)), shape=(n_post, n_pre)) if sparse else held.T.copy()

    weights = matrix(proj.weights)
    if proj.rule is not None:
        options |= {
            "learning_rule": lava_rule(proj.rule),
            "graded_spike_cfg": GradedSpikeCfg(GRADED.index(proj.rule.graded_trace)),
        }
        if sparse and learns_sparse(proj):
            options |= {tag: matrix(0) for tag in models.TAGS}
            return LearningSparse(weights=weights, **options), models.LearningSparse
        weights = np.array(weights.todense()) if sparse else weights
        return LearningDense(weights=weights, **options), models.LearningDense
    if proj.max_delay:
        options |= {"delays": matrix(proj.delays, int), "max_delay": proj.max_delay}
        if sparse:
            return DelaySparse(weights=weights, **options), models.DelaySparse
        return DelayDense(weights=weights, **options), models.DelayDense
    if sparse:
        return Sparse(weights=weights, **options), models.Sparse
    return Dense(weights=weights, **options), models.Dense
