"""What a step costs: work counted from the program, instructions estimated from measured kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuromorph.profiles import LOIHI2, Profile
from neuromorph.report import Cost, ProjectionUse

if TYPE_CHECKING:
    from neuromorph.program import Program, Projection
    from neuromorph.rule import Product, Rule

__all__ = ["CORES", "CoreCost", "is_pair_rule", "kernel", "program_cost", "projection_use", "step_us"]

TRACES_X, TRACES_Y = ("x1", "x2"), ("y1", "y2", "y3")


@dataclass(frozen=True, slots=True)
class CoreCost:
    """Instructions per element on one core, counted on emulated cores: an estimate for real ones."""

    neuron: float
    dense: float
    sparse: float
    delayed: float
    pair: float
    interpreted: float
    trace: float
    release: float

    @property
    def tenths(self) -> tuple[int, ...]:
        """In tenths of an instruction, in the order of the fields: as boards count (``nm_speed`` of ``nm.h``)."""
        return tuple(round(10 * getattr(self, name)) for name in self.__slots__)


CORES = {
    "cortex-m0+": CoreCost(76.9, 4.6, 11.3, 22.2, 35.0, 50.2, 32, 81.4),
    "cortex-m3": CoreCost(47.7, 3.1, 7.0, 13.3, 26.0, 23.6, 18, 61.9),
    "cortex-m4": CoreCost(47.7, 3.1, 7.0, 13.3, 26.0, 23.6, 18, 61.9),
}
"""By core name, as ``neuromorph bench --kernels`` counts them under ``synapse`` rounding.

`interpreted`: no less than a product of one factor takes in a row. `pair`: half of what a synapse costs whose both ends
spiked, as all do in the worst step; others cost less. `trace`: the decay of one trace of one neuron.
`release`: an event with short-term plasticity and delays.
"""


def is_slow(product: Product) -> bool:
    """Whether a product is due in some learning epochs only."""
    return product.dependency == "u" and product.k > 0


def is_pair_rule(rule: Rule) -> bool:
    """Whether a rule has the shape of pair STDP but for slow products: one of dw per side, of a trace of the other."""
    pair = [p for p in rule.dw if not is_slow(p)]
    others = [p for p in rule.products if not is_slow(p)]
    if sorted(p.dependency for p in pair) != ["x0", "y0"] or len(others) > len(pair):
        return False

    def reads_only(product: Product, names: tuple[str, ...]) -> bool:
        read = {f.variable for f in product.factors} - {"1"}
        plain = not any(f.function or f.second for f in product.factors)
        return plain and len(read) <= 1 and read <= set(names)

    return all(reads_only(p, TRACES_Y if p.dependency == "x0" else TRACES_X) for p in pair)


def kernel(proj: Projection, numbers: Profile = LOIHI2) -> str:
    """The path that a projection takes through the engines."""
    if numbers is not LOIHI2 and proj.rule is not None:
        return "interpreter, 16 bits"
    if proj.rule is None:
        return f"static {proj.layout}"
    if proj.layout != "dense" or not is_pair_rule(proj.rule):
        return "interpreter"
    slow = [p.k for p in proj.rule.products if is_slow(p)]
    return "separable pair kernel" + (f", interpreter every {2 ** min(slow)} epochs" if slow else "")


def projection_use(proj: Projection, unit: float | None, numbers: Profile = LOIHI2) -> ProjectionUse:
    """The report's line of a projection."""
    path = kernel(proj, numbers) + ("" if proj.short_term is None else ", short-term plasticity")
    width = 2 if numbers.weight_frac or (proj.rule is not None and proj.sign_mode == "mixed") else 1
    return ProjectionUse(
        proj.name, proj.synapses, proj.layout, proj.sign_mode, proj.weight_exp, unit, proj.synapses * width,
        path, 0 if proj.rule is None else proj.rule.t_epoch,
    )  # fmt: skip


def _tenths(program: Program, core: CoreCost) -> int:
    """Tenths of an instruction of the worst step; ``firmware/core/cost.c`` counts the same."""
    neuron, dense, sparse, delayed, pair, interpreted, trace, release = core.tenths
    work = neuron * sum(p.n for p in program.populations.values() if p.kind != "input")
    for p in program.projections.values():
        event = delayed if p.max_delay else dense if p.layout == "dense" else sparse
        work += p.synapses * (event if p.short_term is None else release)
        if p.rule is None:
            continue
        if "interpreter" in kernel(p, program.numbers):
            work += p.synapses * len(p.rule.products) * interpreted
        else:
            work += p.synapses * 2 * pair
        ends = (program.populations[p.pre].n, program.populations[p.post].n)
        work += trace * sum(ends[t not in TRACES_X] for t in p.rule.traces)
    return work


def step_us(program: Program, core: CoreCost, per_us: int) -> int:
    """Microseconds of the worst step on a core with so many instructions per microsecond, rounded up: rule R10."""
    return min(-(-_tenths(program, core) // (10 * per_us)), (1 << 32) - 1)


def program_cost(program: Program) -> Cost:
    """Work and instructions of a step in which every neuron spikes and every epoch ends."""
    projs = list(program.projections.values())
    neurons = sum(p.n for p in program.populations.values() if p.kind != "input")
    plastic = [p for p in projs if p.rule is not None]
    numbers = program.numbers
    interpreted = {p.name for p in plastic if "interpreter" in kernel(p, numbers)}
    products = sum(p.synapses * len(p.rule.products) for p in plastic if p.rule and p.name in interpreted)
    instructions = {name: round(_tenths(program, core) / 10) for name, core in CORES.items()}
    return Cost(
        neurons, sum(p.synapses for p in projs), sum(p.synapses for p in plastic), products, instructions
    )  # fmt: skip
