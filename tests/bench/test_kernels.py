"""What the kernels may cost on a Cortex-M4, in instructions: counts are exact, the same in every run."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from neuromorph.bench.counting import of_the_learning
from neuromorph.cli.bench import command

pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
pytest.importorskip("elftools", reason="counting needs pyelftools: pip install 'neuromorph[mcu]'")

MOST = {
    "neuron update, lif": 60,
    "synaptic event, static dense": 5,
    "plastic update, pair STDP": 15,
    "interpreted product": 25,
    "profile wide, the first product": 90,
    "profile wide, each further product of": 66,
}
"""By beginning of the name: whatever the size of the steps, the rounding, the epoch, the sign mode and the factor."""

APART = {"synaptic event, static dense, delays": 15}
"""Dearer ones, which have limits of their own: events that look up each synapse on its own."""


def limit_of(name: str) -> int | None:
    """The limit of a kernel: its own, or that of its kind; most others have none."""
    return next((limit for begin, limit in [*APART.items(), *MOST.items()] if name.startswith(begin)), None)


@pytest.mark.timeout(600)  # a minute of CPU; a shared machine may need many times that
def test_no_kernel_costs_more_than_it_may() -> None:
    found = CliRunner().invoke(command, ["--kernels", "--target", "mcu:m4", "--json"])
    assert found.exit_code == 0, found.output
    costs = json.loads(found.stdout)["instructions"]
    most = {name: limit for name in costs if (limit := limit_of(name)) is not None}
    assert len([name for name in most if name.startswith("plastic update")]) == 8
    assert len([name for name, limit in most.items() if name.startswith("interpreted product") and limit == 25]) == 92
    assert not {name: cost for name, cost in costs.items() if name in most and not 0 < cost <= most[name]}


@pytest.mark.parametrize("name", ["nm_learn", "nm_learn_separable", "nm_histories", "nm_mix", "cells_u8", "a_new_one"])
def test_learning_has_all_its_overhead(name: str) -> None:
    assert of_the_learning({name: 7, "nm_step": 1, "nm_deliver": 1, "nm_update": 1, "nm_take_in": 1, "emit": 1}) == 7
