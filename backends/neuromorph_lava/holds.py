"""What Lava's fixed-point models hold of a program; all else is refused by name before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import UnsupportedError
from neuromorph.rule import decay_table

if TYPE_CHECKING:
    from neuromorph.program import Population, Program, Projection
    from neuromorph.rule import Rule, Trace
    from neuromorph.stepped import Inputs

__all__ = ["bias_parts", "check_chip", "check_inputs", "check_program", "learns_sparse", "own_models"]

Ints = NDArray[np.int64]
MANT_MIN, MANT_MAX = -4096, 4095  # 13 bits on the chip
EXP_MAX = 7
LAST_BITS = 2.0**-40  # of an entry, which is up to 128
POST_TRACES = ("y1", "y2", "y3")
OVERWRITE_MAX = 128  # of a trace; Lava keeps the whole byte


def bias_parts(bias: Ints) -> tuple[Ints, Ints]:
    """Mantissas and exponents with ``mant << exp == bias``, each mantissa of at most 13 bits if that can be, else 16.

    Raises
    ------
    ValueError
        A bias that 16 bits and an exponent of at most 7 do not hold; the argument is its index.
    """
    mant, exp = np.array(bias, np.int64), np.zeros(np.shape(bias), np.int64)
    for _ in range(EXP_MAX):
        wide = ((mant < MANT_MIN) | (mant > MANT_MAX)) & (mant & 1 == 0)
        mant, exp = np.where(wide, mant >> 1, mant), exp + wide
    wrong = np.flatnonzero((mant < -(1 << 15)) | (mant >= 1 << 15))
    if wrong.size:
        raise ValueError(int(wrong[0]))
    return mant, exp


def check_program(program: Program) -> None:
    """Raise UnsupportedError if Lava would compute something else, or nothing."""
    for pop in program.populations.values():
        if pop.kind != "input":
            _check_population(pop)
    for proj in program.projections.values():
        if proj.rule is not None:
            _check_plastic(proj, program.rounding)


def _check_population(pop: Population) -> None:
    bias = pop.per_neuron("bias")
    try:
        bias_parts(bias)
    except ValueError as error:
        k = error.args[0]
        raise UnsupportedError(
            f"population {pop.name!r}: bias {bias[k]} of neuron {k} is no mant * 2^exp with a mantissa of 16 bits and "
            f"exp 0..{EXP_MAX}, as Lava holds it (it would wrap): use a bias whose low bits are 0, or a constant input"
        ) from None


def _check_plastic(proj: Projection, rounding: str) -> None:
    where, rule = f"projection {proj.name!r}", proj.rule
    if rule is None:
        return
    if rounding != "shared":
        raise UnsupportedError(
            f"{where}: Lava rounds all synapses with one number and not each on its own: compile with rounding='shared'"
        )
    if proj.max_delay:
        raise UnsupportedError(
            f"{where}: Lava has no plastic projections with delays (largest stored delay {proj.max_delay}): delay the "
            "source by relay cells"
        )
    ks = sorted({p.k for p in rule.products if p.dependency == "u"})
    if len(ks) > 1:
        raise UnsupportedError(
            f"{where}: the rule mixes {', '.join(f'u{k}' for k in ks)}; Lava has one u_k for all of dw, dd and dt"
        )
    for name, trace in rule.traces.items():
        if trace.table and not _is_exponential(trace):
            raise UnsupportedError(
                f"{where}: the decay of {name} is not exp(-1/{trace.tau:g}) as this computer has it, which Lava "
                "computes itself: compile the network here"
            )
    _check_factors(where, rule)
    if not rule.products:
        raise UnsupportedError(f"{where}: the rule has no products; Lava needs at least one: make it static")


def _is_exponential(trace: Trace) -> bool:
    """Whether a decay is exp(-1/tau) but for the last bits, in which exponentials of NumPy's releases differ."""
    tables = (trace.decay, decay_table(trace.tau))
    held, own = ((t >> np.uint64(54)) + (t & np.uint64(2**54 - 1)) * 2.0**-53 for t in tables)
    return bool(np.max(np.abs(held - own)) <= LAST_BITS)


def _check_factors(where: str, rule: Rule) -> None:
    if rule.modulators and not set(rule.traces).isdisjoint(POST_TRACES):
        raise UnsupportedError(
            f"{where}: the rule has modulators and {', '.join(sorted(set(rule.traces) & set(POST_TRACES)))}; Lava's "
            "three-factor rules get modulators in the place of all post traces: read the target's activity from a "
            "modulator that its own spikes feed"
        )
    if len(rule.modulators) > len(POST_TRACES):
        raise UnsupportedError(
            f"{where}: the rule has {len(rule.modulators)} modulators; Lava's have room for {len(POST_TRACES)}"
        )
    if any(p.extended for p in rule.products) or "q" in rule.variables:
        raise UnsupportedError(
            f"{where}: a factor with pos, on, q, a sgn of traces, two variables, or u10 and more; Lava's rules have "
            "none of these: write products of single variables"
        )


def own_models(program: Program) -> tuple[str, ...]:
    """Objects of a program that Lava has no model for: ours run them, in Lava's order of a step."""
    neurons = [p.name for p in program.populations.values() if p.is_refractory or p.adaptive]
    resets = [p.name for p in program.populations.values() if p.kind == "ternary" and p.has_reset]
    return (*neurons, *resets, *program.modulators)


def check_chip(program: Program) -> None:
    """Raise UnsupportedError for what only our models hold, or what a chip does not tell: see docs/peers.md."""
    for pop in program.populations.values():
        own = {
            "a refractory period": pop.is_refractory, "an adaptive threshold": pop.adaptive,
            "a scheduled reset": pop.has_reset, "ternary spikes": pop.kind == "ternary",
            "an initial state": any(np.any(v) for v in (pop.init_u, pop.init_v) if v is not None),
            "values for each neuron": any(np.ndim(getattr(pop, key)) for key in ("du", "dv", "vth")),
        }  # fmt: skip
        _refuse_on_chip(f"population {pop.name!r}", own)
    for proj in program.projections.values():
        own = {
            "a sparse layout": proj.indptr is not None,
            "modulators": proj.rule is not None and bool(proj.rule.modulators),
        }  # fmt: skip
        _refuse_on_chip(f"projection {proj.name!r}", own)
    _refuse_on_chip("the program", {"a schedule": bool(program.schedule)})
    for probe in program.probes:
        _refuse_on_chip(f"probe {probe.name!r}", {"a state": probe.variable != "spikes"})


def _refuse_on_chip(where: str, own: dict[str, bool]) -> None:
    for what, asked in own.items():
        if asked:
            raise UnsupportedError(
                f"{where}: {what} is not lowered to Loihi 2 itself (Lava on the chip has no such model, or it was not "
                "checked): leave it out, or run on loihi:lava-fast"
            )


def learns_sparse(proj: Projection) -> bool:
    """Whether Lava's LearningSparse runs a sparse projection's rule.

    It clips no sparse matrix to one sign, and multiplies none with another.
    """
    rule = proj.rule
    return rule is not None and proj.sign_mode == "mixed" and rule.variables.isdisjoint(("w", "d", "t"))


def check_inputs(program: Program, inputs: Inputs) -> None:
    """Raise UnsupportedError for payloads that Lava would treat in another way (see docs/peers.md)."""
    largest: dict[str, int] = {}
    for step in inputs.values():
        for name, payload in step.items():
            largest[name] = max(largest.get(name, 0), int(np.abs(payload).max(initial=0)))
    for proj in program.projections.values():
        top = largest.get(proj.pre, 0)
        if not proj.graded or not top:
            continue
        if proj.rule is not None and proj.rule.graded_trace == "overwrite":
            _check_overwrite(proj, [step[proj.pre] for step in inputs.values() if proj.pre in step])
        if proj.max_delay and proj.weight_exp < 0 and proj.indptr is None:
            total = top * int(np.abs(proj.weights).sum(axis=0).max(initial=0))
            if total >= 1 << 31:
                raise UnsupportedError(
                    f"projection {proj.name!r}: sums of up to {total} with weight_exp {proj.weight_exp}; Lava's "
                    "DelayDense sums in 64 bits before it shifts: use smaller payloads or a sparse projection"
                )


def _check_overwrite(proj: Projection, payloads: list[Ints]) -> None:
    for payload in payloads:
        wrong = payload[np.rint(payload / 2).astype(np.int64) & 0xFF > OVERWRITE_MAX]
        if wrong.size:
            raise UnsupportedError(
                f"projection {proj.name!r}: a payload of {wrong[0]}; half of it as a byte goes into Lava's x1, into "
                f"the machine's at most {OVERWRITE_MAX}: payloads of 0..257 into graded_trace='overwrite'"
            )
