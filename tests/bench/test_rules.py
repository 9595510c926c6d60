"""Costs of named rules on the emulated board."""

from __future__ import annotations

import math

import pytest

from neuromorph import plasticity
from neuromorph.bench.rules import RULES, rule_costs

NO_RULES = {"Held", "Lowered", "PlasticityRule", "Sum", "TraceSpec"}


def test_every_named_rule_has_a_network_whose_cost_is_counted() -> None:
    missing = {name for name in plasticity.__all__ if name[0].isupper() and not any(name in rule for rule in RULES)}
    assert missing <= NO_RULES


def test_costs_are_of_the_rule_alone() -> None:
    pytest.importorskip("unicorn", reason="the emulated board needs: pip install 'neuromorph[mcu]'")
    costs = rule_costs(names=('STDP(variant="additive")', "TripletSTDP", "ThresholdAdaptation"))
    pair, triplet = costs['STDP(variant="additive")'], costs["TripletSTDP"]
    assert pair.update is not None
    assert triplet.update is not None
    assert 5 < pair.update < triplet.update
    assert 0 < pair.neuron_step < triplet.neuron_step
    adaptation = costs["ThresholdAdaptation"]
    assert adaptation.update is None
    assert 0 < adaptation.neuron_step < 20
    assert math.isfinite(triplet.neuron_step)
