"""What the docstrings of rules promise."""

from __future__ import annotations

import inspect

import pytest

from neuromorph import plasticity
from neuromorph.plasticity import Held, Lowered, PlasticityRule, TraceSpec

PARTS = {Held, Lowered, PlasticityRule, TraceSpec}
"""What rules are made of; the rest is what a user writes into a network."""

RULES = [name for name in plasticity.__all__ if getattr(plasticity, name) not in PARTS]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_which_targets_hold_it(name: str) -> None:
    text = " ".join((inspect.getdoc(getattr(plasticity, name)) or "").split())
    assert "Targets: " in text
