"""Properties of every placement; counts again, neuron by neuron and synapse by synapse, without the placer's code."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromorph.errors import CapacityError
from neuromorph.program import Population, Program, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph_loihi import LOIHI_1, LOIHI_2, Chip, Core, place
from neuromorph_loihi.placement import LIMITS
from neuromorph_loihi.synapses import axon_bits
from tests.loihi.conftest import dense, limited, sparse


@st.composite
def programs(draw: Any) -> Program:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = {"in0": draw(st.integers(1, 70)), "in1": draw(st.integers(1, 5))}
    cells = {f"cells{k}": draw(st.integers(1, 80)) for k in range(draw(st.integers(1, 3)))}
    pops = [Population(name, n, "input") for name, n in sizes.items()]
    for name, n in cells.items():
        some: dict[str, Any] = {"bias": int(rng.integers(0, 2))}
        if rng.random() < 0.5:
            some |= {"du": rng.integers(0, 4, n), "refractory": rng.integers(0, 2, n), "vth": rng.integers(1, 4, n)}
        pops.append(Population(name, n, **some))
    sizes |= cells
    projections = []
    for k in range(draw(st.integers(0, 5))):
        pre, post = str(rng.choice([*sizes])), str(rng.choice([*cells]))
        more: dict[str, Any] = {"weight_exp": int(rng.integers(0, 3)), "delays": int(rng.choice([0, 1, 5, 62]))}
        if rng.random() < 0.4:
            tag = (Product("y0", 1, 0),) if rng.random() < 0.5 else ()
            trace = Trace(int(rng.integers(1, 4)), 0, 5.0)
            more["rule"] = Rule((Product("y0", 1, 0, (Factor("x1"),)),), dt=tag, traces={"x1": trace})
        if rng.random() < 0.5:
            projections.append(dense(f"p{k}", pre, post, sizes[pre], sizes[post], **more))
        else:
            mask = rng.random((sizes[pre], sizes[post])) < rng.choice([0.0, 0.05, 0.5, 1.0])
            projections.append(sparse(f"p{k}", pre, post, mask, **more))
    return build(pops, projections)


@st.composite
def chips(draw: Any) -> Chip:
    """Loihi with small limits, of which each may be the one that binds."""
    limits: dict[str, Any] = {
        "compartments": st.integers(1, 40), "input_axons": st.integers(60, 400), "output_axons": st.integers(5, 200),
        "synapse_bits": st.integers(5000, 40000), "memory_bits": st.integers(9000, 60000),
        "decay_configs": st.integers(1, 8), "threshold_configs": st.integers(1, 4),
        "synapse_formats": st.integers(2, 15), "trace_configs": st.integers(1, 3),
    }  # fmt: skip
    chosen = {name: draw(values) for name, values in limits.items() if draw(st.booleans())}
    return limited(draw(st.sampled_from([LOIHI_1, LOIHI_2])), chips=100, **chosen)


def synapses_of(program: Program) -> list[tuple[str, int, int]]:
    """Every synapse as (projection, source, target)."""
    found = []
    for name, proj in program.projections.items():
        if proj.indices is None:
            found += [(name, i, j) for i in range(proj.weights.shape[0]) for j in range(proj.weights.shape[1])]
        else:
            found += [(name, int(i), int(j)) for i, j in zip(proj.pre_of, proj.indices, strict=True)]
    return found


def count(program: Program, chip: Chip, cores: tuple[Core, ...]) -> list[dict[str, int]]:
    """What each core uses, by enumeration."""
    home = {
        (part.population, j): k for k, core in enumerate(cores) for part in core.slices
        for j in range(part.start, part.stop)
    }  # fmt: skip
    axons: Counter[tuple[int, str, int]] = Counter()
    sent: Counter[int] = Counter()
    for name, i, j in synapses_of(program):
        proj = program.projections[name]
        core = home[proj.post, j]
        if not axons[core, name, i] and (proj.pre, i) in home:
            sent[home[proj.pre, i]] += 1
        axons[core, name, i] += 1
    made = []
    for k in range(len(cores)):
        here = [where for where, core in home.items() if core == k]
        pops = {name: program.populations[name] for name, _ in here}
        projs = {name: program.projections[name] for core, name, _ in axons if core == k}
        learning = any(p.rule for p in program.projections.values() if p.post in pops)
        index = 0 if len(here) == 1 else max(6, math.ceil(math.log2(len(here))))
        bits = 0
        for (core, name, _), fan in axons.items():
            if core == k:
                proj = projs[name]
                rule = proj.rule
                each = 8 + proj.max_delay.bit_length() + (0 if proj.indices is None else index)
                each += 0 if rule is None else 9 * rule.has_tag_1 + (proj.sign_mode == "mixed")
                while fan > 0:
                    bits += 64 * math.ceil((min(fan, 64) * each + 10) / 64)
                    fan -= 64
        states = sum(2 + bool(p.bias) + p.is_refractory for name, _ in here for p in [pops[name]])
        value = {(name, j): {key: int(pops[name].per_neuron(key)[j]) for key in ("du", "dv", "refractory", "vth")}
                 for name, j in here}  # fmt: skip
        count_axons = sum(core == k for core, _, _ in axons)
        made.append({
            "compartments": len(here), "synapses": sum(n for (core, _, _), n in axons.items() if core == k),
            "axons": count_axons, "input_axons": count_axons * (2 if learning else 1), "output_axons": sent[k],
            "synapse_bits": bits, "memory_bits": bits + states * chip.state_bits.value,
            "decay_configs": len({(v["du"], v["dv"], v["refractory"]) for v in value.values()}),
            "threshold_configs": len({v["vth"] for v in value.values()}),
            "trace_configs": len({t for p in projs.values() if p.rule for t in p.rule.traces.values()}),
            "synapse_formats": len({
                (p.indices is None, p.weight_exp, p.max_delay.bit_length(), repr(p.rule)) for p in projs.values()
            }),
            "learning": learning,
        })  # fmt: skip
    return made


@settings(max_examples=60)
@given(programs(), chips())
def test_every_placement(program: Program, chip: Chip) -> None:
    try:
        placed = place(program, chip)
    except CapacityError as error:  # there are cores enough
        if "alone needs" in str(error):
            return
        raise
    neurons = Counter((s.population, j) for core in placed.cores for s in core.slices for j in range(s.start, s.stop))
    every = {(p.name, j) for p in program.populations.values() if p.kind != "input" for j in range(p.n)}
    assert neurons == Counter(every)  # each on exactly one core
    assert place(program, chip) == placed
    for core, counted in zip(placed.cores, count(program, chip, placed.cores), strict=True):
        assert {name: getattr(core, name) for name in counted} == counted
        for name in LIMITS:
            assert counted[name] <= getattr(chip, name).value
    assert placed.axons == sum(core.axons for core in placed.cores)


@settings(max_examples=30)
@given(programs(), chips())
def test_what_is_refused_for_one_neuron_cannot_be_placed_alone(program: Program, chip: Chip) -> None:
    """Of limits that do not depend on other cores: each neuron alone is within them, or the program is refused."""
    chip = limited(chip, output_axons=10**6)
    alone = place(program, limited(compartments=1, output_axons=10**6, chips=10**6, input_axons=10**6,
                                   synapse_bits=10**9, memory_bits=10**9, synapse_formats=10**6,
                                   trace_configs=10**6, state_bits=chip.state_bits.value))  # fmt: skip
    fits = not any(core.exceeds(chip) for core in alone.cores)
    try:
        place(program, chip)
    except CapacityError:
        assert not fits
    else:
        assert fits


def test_distance_on_the_mesh() -> None:
    """33 cores of one neuron each: the last is the first of tile 8, one row below tile 0."""
    mask = np.zeros((33, 33), bool)
    mask[0, 32] = True  # core 0 (tile 0) to core 32 (tile 8: column 0, row 1)
    mask[4, 31] = True  # core 4 (tile 1) to core 31 (tile 7): 6 columns
    pops = [Population("pixels", 1, "input"), Population("cells", 33)]
    first = np.zeros((1, 33), bool)
    first[0, 9] = True  # from the corner to core 9 (tile 2): 2 columns
    program = build(pops, [sparse("syn", "cells", "cells", mask), sparse("in", "pixels", "cells", first)])
    placed = place(program, limited(compartments=1))
    assert (placed.axons, placed.chips, placed.tiles) == (3, 1, 9)
    assert (placed.columns, placed.rows) == ((0 + 6 + 2) / 3, 1 / 3)


def test_each_chip_has_its_own_mesh() -> None:
    """Core 8 of chips of 8 cores is in tile 0 of the second chip, where its inputs enter."""
    first = np.zeros((1, 9), bool)
    first[0, 8] = True
    program = build(
        [Population("pixels", 1, "input"), Population("cells", 9)], [sparse("in", "pixels", "cells", first)]
    )
    placed = place(program, limited(compartments=1, cores=8, chips=2))
    assert (placed.chips, placed.tiles, placed.columns, placed.rows) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    ("synapses", "each", "words"),
    [(1, 8, 1), (6, 9, 1), (5, 11, 2), (64, 8, 9), (65, 8, 10), (128, 8, 18), (0, 8, 0)],
)
def test_memory_of_an_axon(synapses: int, each: int, words: int) -> None:
    """Blocks of 64 synapses and a head of 10 bits, in words of 64: 6 of 9 bits fill one, 5 of 11 need two."""
    assert axon_bits(np.array([synapses]), each).tolist() == [64 * words]


def test_a_population_is_kept_whole_where_it_can_be() -> None:
    program = build([Population("a", 5), Population("b", 4), Population("c", 3)], [])
    chip = limited(compartments=8)
    assert [list(map(str, core.slices)) for core in place(program, chip).cores] == [["a[0:5]"], ["b[0:4]", "c[0:3]"]]


def test_thousands_of_neurons_are_placed_at_once() -> None:
    """5000 neurons and 2.5 million synapses, 10% connected: more axons than one chip's cores take."""
    rng = np.random.default_rng(1)
    mask = rng.random((5000, 5000)) < 0.1
    program = build([Population("cells", 5000)], [sparse("syn", "cells", "cells", mask)])
    placed = place(program, LOIHI_2)
    assert placed.synapses == mask.sum()
    assert placed.chips > 1
    assert not any(core.exceeds(LOIHI_2) for core in placed.cores)
