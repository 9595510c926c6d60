"""Random programs for peers: of the programs of `neuromorph.testing.programs` those that a peer holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromorph.errors import UnsupportedError
from neuromorph.program import Population, Probe, Program, Projection
from neuromorph.rule import TRACES, Trace
from neuromorph.state import items
from neuromorph.testing.equality import Case, is_active, trace_of
from neuromorph.testing.literature import THREE_FACTORS, TWO_FACTORS, name_of, products
from neuromorph.testing.modulated import modulated
from neuromorph.testing.programs import Draw, draw

if TYPE_CHECKING:
    from neuromorph.stepped import Inputs

__all__ = ["all_probes", "contents", "fit_lava", "fit_nengo", "inputs_of", "peer_case"]

ATTEMPTS = 500
THREE_FACTORS_SHARE, LITERATURE_SHARE = 0.4, 0.6
MODULATED = ("m1", "m2", "m3")
EPOCH_MAX = 64
CURRENT = 1 << 18
"""Most that may arrive in a step: Loihi 1 adds in 21 bits and keeps currents of 23, where it would wrap."""


def peer_case(seed: int, fit: Callable[[Draw], Draw], steps: int = 200) -> Case:
    """The first active program of a seed that `fit` can change into one that the peer holds.

    Parameters
    ----------
    seed : int
        Of the program.
    fit : callable
        Returns a draw that the peer holds; raises UnsupportedError if there is none.
    steps : int
        Length of the run.
    """
    from neuromorph_cpu.ref_engine import RefEngine

    for attempt in range(ATTEMPTS):
        try:
            drawn = fit(draw(seed, attempt, steps, extensions=False))
        except UnsupportedError:
            continue
        reference = trace_of(replace(drawn, pause=0), RefEngine())
        if is_active(drawn, reference):
            return Case(seed, drawn, reference)
    raise RuntimeError(f"no program found for seed {seed}")  # the generator is at fault, not its user


def fit_lava(drawn: Draw) -> Draw:
    """The same program with Lava's rounding, if Lava holds it; some get modulators or rules of the literature."""
    from neuromorph_lava.holds import check_inputs, check_program

    rng = np.random.default_rng(drawn.program.seed)
    projs = {name: _with_own_decays(proj) for name, proj in drawn.program.projections.items()}
    changed = replace(drawn, program=replace(drawn.program, projections=projs, rounding="shared"))
    if rng.random() < THREE_FACTORS_SHARE:
        changed = modulated(changed, rng)
    number = int(drawn.program.name.rpartition("-")[2])
    if number % 2 and not any(proj.rule for proj in projs.values()):
        raise UnsupportedError("every other program learns")
    if number % 2 or rng.random() < LITERATURE_SHARE:
        changed = _with_literature(changed, rng, 1 + number // 2 % EPOCH_MAX)
    check_program(changed.program)
    check_inputs(changed.program, inputs_of(changed))
    return changed


def _with_own_decays(proj: Projection) -> Projection:
    """Decays as this computer has them: Lava computes them itself."""
    if proj.rule is None:
        return proj
    traces = {name: replace(trace, table=b"") for name, trace in proj.rule.traces.items()}
    return replace(proj, rule=replace(proj.rule, traces=traces))


def _with_literature(drawn: Draw, rng: np.random.Generator, t_epoch: int) -> Draw:
    """Rules of the literature on all plastic projections, with an epoch of that many steps."""
    program, projs = drawn.program, dict(drawn.program.projections)
    for proj in program.projections.values():
        if proj.rule is not None:
            table = THREE_FACTORS if len(proj.rule.modulators) == len(MODULATED) else TWO_FACTORS
            if proj.rule.modulators and table is TWO_FACTORS:
                projs[proj.name] = replace(proj, rule=replace(proj.rule, t_epoch=t_epoch))
                continue
            dw, dd, dt = products(table[str(rng.choice([*table]))])
            read = {f.variable for p in (*dw, *dd, *dt) for f in p.factors} & set(TRACES)
            missing = {name: Trace.of(float(rng.uniform(5, 30)), float(rng.uniform(5, 100))) for name in sorted(read)}
            rule = replace(
                proj.rule, dw=dw, dd=dd, dt=dt, t_epoch=t_epoch,
                traces={**missing, **proj.rule.traces},
            )  # fmt: skip
            projs[proj.name] = replace(proj, rule=rule)
    changed = replace(program, projections=projs, probes=())
    kept = {(item.object, item.variable): item for item in items(changed)}
    state = {k: v for k, v in drawn.state.items() if k in kept and v.shape == kept[k].shape and not kept[k].check(v)}
    return replace(drawn, program=replace(changed, probes=all_probes(changed)), state=state)


def all_probes(program: Program) -> tuple[Probe, ...]:
    """On the spikes of every population and every state item, in every step."""
    spikes = [Probe(f"{name}.spikes", name, "spikes") for name in program.populations]
    return (*spikes, *(Probe(item.name, item.object, item.variable) for item in items(program)))


def fit_nengo(drawn: Draw) -> Draw:
    """Without what the emulator lacks (graded and ternary spikes, delays, adaptive thresholds, resets); smaller."""
    from neuromorph_nengo.holds import check_program

    program = drawn.program
    projs = {name: _projection(proj, program.populations[proj.pre].n) for name, proj in program.projections.items()}
    smaller = dict.fromkeys(program.populations, 0)  # by how many bits what arrives has shrunk
    for name, proj in projs.items():
        change = program.projections[name].weight_exp - proj.weight_exp
        smaller[proj.post] = max(smaller[proj.post], change)
    pops = {name: _population(pop, smaller[name]) for name, pop in program.populations.items()}
    schedule = tuple(e for e in program.schedule if e.operation == "plasticity" and projs[e.object].rule)
    changed = replace(program, populations=pops, projections=projs, schedule=schedule, probes=())
    check_program(changed)
    events = {name: (step, index, np.ones_like(payload)) for name, (step, index, payload) in drawn.events.items()}
    program = replace(changed, probes=all_probes(changed))
    return replace(drawn, program=program, events=events, first=0, state={})  # any state may wrap in Loihi 1


def _population(pop: Population, bits: int) -> Population:
    if pop.kind == "input":
        return replace(pop, graded=False)
    starts: dict[str, Any] = {
        key: None if value is None else value % CURRENT - CURRENT // 2
        for key, value in (("init_u", pop.init_u), ("init_v", pop.init_v))
    }
    return replace(
        pop, kind="lif", vth_lo=0, adaptive=False, init_theta=None, theta_inc=0, reset_interval=0, reset_offset=0,
        vth=pop.vth >> bits, bias=pop.bias >> bits, **starts,
    )  # fmt: skip


def _projection(proj: Projection, n_pre: int) -> Projection:
    rule = proj.rule if proj.rule is None or proj.rule.graded_trace == "none" else None
    weights = proj.weights if rule is not None or proj.sign_mode != "mixed" else proj.weights >> 1 << 1
    exp = min(proj.weight_exp, int(np.log2(CURRENT / 64 / 256 / n_pre)) + 2)
    if exp < 0:  # bits below the point would be dropped after the sum: none there
        weights, rule = np.sign(weights) * (np.abs(weights) >> (1 - exp) << (1 - exp)), None
    return replace(
        proj, graded=False, delays=0, weight_exp=exp, rule=rule, weights=weights, plastic=proj.plastic or rule is None
    )


def inputs_of(drawn: Draw) -> Inputs:
    """What a program's inputs send, as machines in workers get it."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for name, events in drawn.events.items():
        n = drawn.program.populations[name].n
        for step, index, payload in zip(*events, strict=True):
            found.setdefault(int(step), {}).setdefault(name, np.zeros(n, np.int64))[index] = payload
    return found


def contents(program: Program) -> Counter[str]:
    """What kinds of things a program has, counted."""
    found: Counter[str] = Counter()
    for pop in program.populations.values():
        features = {
            "refractory": pop.is_refractory, "adaptive": pop.adaptive, "reset": pop.has_reset,
            "graded": pop.graded,
        }  # fmt: skip
        found[" ".join([pop.kind, *(name for name, has in features.items() if has)])] += 1
    for proj in program.projections.values():
        found.update(_projection_contents(proj))
    for modulator in program.modulators.values():
        size = "shared" if modulator.shared else "one for each neuron"
        found[f"modulator, {size}, {modulator.mode}"] += 1
    found.update(f"schedule of {entry.operation}" for entry in program.schedule)
    return found


def _projection_contents(proj: Projection) -> Counter[str]:
    delayed = "delayed " if proj.max_delay else ""
    found = Counter([
        f"{delayed}{'plastic ' if proj.rule else ''}{proj.layout}", f"sign mode {proj.sign_mode}",
        "graded spikes" if proj.graded else "binary spikes", f"weight_exp {'<' if proj.weight_exp < 0 else '>='} 0",
    ])  # fmt: skip
    if proj.rule is not None:
        found[f"{'three' if proj.rule.modulators else 'two'} factors, {proj.layout}"] += 1
        found[f"rule of the literature: {name_of(proj.rule)}"] += bool(name_of(proj.rule))
        found[f"epoch of {proj.rule.t_epoch}"] += 1
        found[f"graded trace {proj.rule.graded_trace}"] += 1
        found.update(f"rule reads {name}" for name in {f.variable for p in proj.rule.products for f in p.factors})
        found.update(f"dependency {name}" for name in {p.dependency for p in proj.rule.products})
        found.update(name for name in ("dw", "dd", "dt") if getattr(proj.rule, name))
    found.update(f"stored delay {d}" for d in np.unique(proj.delays).tolist())
    return found
