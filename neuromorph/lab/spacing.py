"""Spaced training lasts longer than massed training (Kramár et al. 2012 at synapses).

Protocol. Eight pairings: all in a row, or four times two with 20, 30 or 40 min in between. What is retained is the
change of the weights 8 h after the last one.

Mechanism. That of the experiment `consolidation`, with the very same cells and parameters: a second stimulus while
proteins and tag are there adds little, since both are all there already; half an hour later both have decayed in part
and are refreshed, so that the late phase grows for longer. The late phase is all that is left after 8 h.

Parameters, compression. Those of `consolidation`: nothing is fitted here.

Controls. "off": STDP alone, so that nothing fades: both retain all. "no proteins": nothing is retained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.lab.consolidation import COMPRESSION, EVERY, MINUTE, ONE, PATHWAYS, SYNAPSES, W_0, tissue, trains
from neuromorph.units import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    import neuromorph as nm

GAPS = (0, 20, 30, 40)  # minutes between blocks; 0: all in a row
BLOCKS = 4  # of two pairings
AT, TEST = 10, 480  # minute of the first block; minutes from the last one to the test
LEAST = 0.005 * W_0  # a smaller change is none
MINUTES = AT + BLOCKS * max(GAPS) + TEST


def cells_of_a_group(size: Size) -> int:
    """How many cells are trained with each gap."""
    return 10 if size == "full" else 5


def network(size: Size = "full", fading: bool = True, proteins: bool = True) -> nm.Network:
    """The cells of all groups."""
    return tissue(len(GAPS) * cells_of_a_group(size), fading, proteins, name="spacing")


def measure(machine: Machine, condition: str | None) -> Result:
    """Train all groups, wait, and compare what they retain."""
    each = cells_of_a_group(machine.size)
    spaced = {gap: [(ONE, AT + block * gap, 2) for block in range(BLOCKS)] for gap in GAPS[1:]}
    plans = {0: [(ONE, AT, 2 * BLOCKS)], **spaced}
    net = network(machine.size, fading=condition != "off", proteins=condition != "no proteins")
    with machine.open(net) as bench:
        inputs = trains([plans[gap] for gap in GAPS for _ in range(each)])
        trace = bench.run(MINUTES * MINUTE * ms, inputs)
    weights = trace.states("syn.w").physical.reshape(-1, len(GAPS), each, PATHWAYS, SYNAPSES)
    changes = weights[..., ONE, :].mean(axis=(2, 3)) - W_0
    last = np.array([plans[gap][-1][1] for gap in GAPS])
    retained = changes[(last + TEST) // EVERY, np.arange(len(GAPS))]
    left = retained / changes[(last + 2 * BLOCKS) // EVERY, np.arange(len(GAPS))]
    held = retained[0] > LEAST
    measures = {
        "spaced": float(retained[1:].min() / retained[0]) if held else float("nan"),
        "spaced_left": float(left[1:].min() / left[0]) if held else float("nan"),
    }
    measures |= {f"gap_{gap}": float(value) for gap, value in zip(GAPS, retained, strict=True)}
    return Result(measures, {"changes": changes, "minutes": trace.states("syn.w").steps / MINUTE})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The course of the weights, and what is retained."""
    course, bars = figure.subplots(1, 2, width_ratios=(2, 1))
    colours = ("#d6604d", "#92c5de", "#4393c3", "#2166ac")
    names = ("massed", *(f"{gap} min" for gap in GAPS[1:]))
    result = results["experiment"]
    for colour, name, changes in zip(colours, names, result.data["changes"].T, strict=True):
        course.plot(result.data["minutes"] / 60, 100 * changes / W_0, color=colour, label=name)
    course.set_xlabel("hours")
    course.set_ylabel("change of the weight (%)")
    course.legend(frameon=False, fontsize=8, title="between blocks", title_fontsize=8)
    bars.bar(names, [100 * result.measures[f"gap_{gap}"] / W_0 for gap in GAPS], color=colours)
    bars.set_ylabel("retained after 8 h (%)")
    bars.tick_params(axis="x", labelsize=8)


EXPERIMENT = Experiment(
    name="spacing",
    title="spaced training is retained better than massed training",
    table="C",
    source="Kramár et al. (2012), PNAS 109:5121; Smolen, Zhang & Byrne (2016), Nat Rev Neurosci 17:77",
    bars=(
        Bar("spaced", ">=", 1.3, "with each gap the change retained is at least 1.3 times that of massed training"),
        Bar("spaced_left", ">=", 1.3, "and so is the part of the change that is left"),
    ),
    controls={"off": ("spaced", "spaced_left"), "no proteins": ("spaced", "spaced_left")},
    network=network,
    measure=measure,
    plot=plot,
    compression=COMPRESSION,
)
