"""The benchmark networks for machines that compute in floats: the same equations in real numbers, nothing rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph import graph
from neuromorph.bench.networks import A_MINUS, A_PLUS, TAU
from neuromorph.errors import UnsupportedError
from neuromorph.passes.hold import tau_of
from neuromorph.plasticity import STDP

if TYPE_CHECKING:
    from neuromorph.program import Population, Program, Projection

__all__ = ["ideal"]

W_MAX = 255


def ideal(program: Program) -> graph.Graph:
    """The Graph of a benchmark's program, in the program's own units: weights as they are, v in 64ths.

    Raises
    ------
    UnsupportedError
        The program has what no benchmark network has.
    """
    dt = program.dt
    more = program.modulators or program.schedule or any(pop.adaptive for pop in program.populations.values())
    if more or any(np.any(pop.refractory) for pop in program.populations.values()):
        raise UnsupportedError(
            f"{program.name!r} is a program of integers that has no form in floats; measure an integer target, e.g. cpu"
        )
    return graph.Graph(
        program.name, dt, program.seed,
        tuple(_population(pop, dt) for pop in program.populations.values()),
        tuple(_projection(proj, dt) for proj in program.projections.values()),
        tuple(graph.Probe(p.name, p.object, p.variable) for p in program.probes),
    )  # fmt: skip


def _population(pop: Population, dt: float) -> graph.Population:
    if pop.kind == "input":
        return graph.Population(pop.name, "input", pop.n)
    ku, kv = (4095 - np.asarray(pop.du)) / 4096, (4096 - np.asarray(pop.dv)) / 4096
    tau_s, tau_m = tau_of(ku, dt), tau_of(kv, dt)
    # Such that one unit of u adds one to v in a step, as in integers.
    resistance = tau_m / tau_s / (1 - ku) if np.all(tau_s) else 1 / (1 - kv)
    return graph.Population(
        pop.name, pop.kind, pop.n, tau_m=tau_m, tau_s=tau_s, v_th=np.asarray(pop.vth, float),
        bias=np.asarray(pop.bias) / 64 / (1 - kv), resistance=resistance,
        v_init=0.0 if pop.init_v is None else np.asarray(pop.init_v) / 64,
    )  # fmt: skip


def _projection(proj: Projection, dt: float) -> graph.Projection:
    rule = None
    if proj.rule is not None:
        rule = STDP(A_PLUS, A_MINUS, TAU * dt, TAU * dt, w_max=W_MAX, epoch=proj.rule.t_epoch * dt)
    return graph.Projection(
        proj.name, proj.pre, proj.post, proj.layout, proj.weights.astype(float), delays=proj.delays + 1,
        indptr=proj.indptr, indices=proj.indices, sign=proj.sign_mode, rule=rule,
    )  # fmt: skip
