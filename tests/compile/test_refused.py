"""What cannot be compiled: each case names the object, what was asked, what is possible, and the way out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.compile import PASSES
from neuromorph.compile import compile as compile_graph
from neuromorph.engine import Target
from neuromorph.errors import CapacityError, UnsupportedError, ValidationError
from neuromorph.graph import Adaptation, Graph
from neuromorph.image import FEATURES
from neuromorph.passes.place import arena_bytes
from neuromorph.plasticity import STDP

MakeGraph = Callable[..., Graph]
ADAPTED = {"adaptation": Adaptation(0.1, 1.0)}
PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({"tau_m": 6.5}, r"'cells', tau_m = 6.5 s cannot be held at dt = 0.001 s.*-37.*use a larger dt, or inf"),
    ({"tau_m": 20}, r"tau_m = 20 s cannot be held.*seconds: for 20 ms write 20 \* ms$"),
    ({"tau_m": 500.0}, r"tau_m = 500 s cannot be held.*or inf for no decay$"),  # nor can 500 ms
    ({"refractory": 100.0}, r"refractory = 100 s is 100000 steps.*seconds: for 100 ms write 100 \* ms$"),
    ({"tau_m": 1e-5}, r"tau_m = 1e-05 s cannot be held.*use 0 \(forget at once\) or a smaller dt"),
    ({"tau_s": 3.0}, r"tau_s = 3 s cannot be held.*use a larger dt"),
    ({"tau_m": np.array([0.02, 0.02, 9.0])}, r"tau_m = 9 s cannot be held"),
    ({"refractory": 1e-4}, r"'cells': refractory = 0.0001 s is under half a step"),
    ({"refractory": 100.0}, r"refractory = 100 s is 100000 steps; at most 65535"),
    ({"tau_m": math.inf, "bias": 0.1}, r"'cells': a bias has no effect with tau_m = inf"),
    ({"tau_m": math.inf, "resistance": 1.0}, r"'cells': resistance 1 with tau_m = inf s gives weights no effect"),
    ({"adaptation": Adaptation(0.1, 1e9)}, r"'cells', adaptation tau = 1e\+09 s cannot be held"),
    ({"adaptation": Adaptation(1e-11, 1.0)}, r"adaptation increment = 1e-11 is too small beside the threshold"),
    ({"adaptation": Adaptation(1e3, 1.0)}, r"adaptation increment is 1000; at most"),
    ({"adaptation": Adaptation(0.1, 1.0, init=1e4)}, r"adaptation init is 10000; at most"),
    ({"v_th": math.nan}, r"'cells': v_th"),
    ({"v_th": -1.0}, r"'cells': v_th"),
    (
        {"v_th": np.array([1.0, 1.0, 1e6])},
        r"'cells', v_th = 1 would be held as 0.*held from [\d.]+ on; narrow their range",
    ),
    ({"bias": 1e9}, r"'cells', v_th = 1 would be held as 0.*largest threshold, bias"),
    (
        {"kind": "ternary", "v_th": 1e6, "v_th_low": -1.0},
        r"'cells', v_th_low = -1 would be held as 0.*two populations",
    ),
    ({"tau_m": np.ones(4)}, r"'cells': tau_m"),
]


@pytest.mark.parametrize(("cells", "message"), PARAMETERS)
def test_parameters_that_cannot_be_held(cells: dict[str, Any], message: str, pair: MakeGraph, anything: Target) -> None:
    with pytest.raises(ValidationError, match=message):
        compile_graph(pair(cells=cells), anything)


@pytest.mark.parametrize("delay", [0, 65, np.full((4, 3), 100)])
def test_delays_that_cannot_be_held(delay: Any, pair: MakeGraph, anything: Target) -> None:
    with pytest.raises(ValidationError, match=r"'syn': .*delays? of .*64"):
        compile_graph(pair(syn={"delays": delay}), anything)


@pytest.mark.parametrize(
    ("syn", "message"),
    [
        ({"weights": np.full((4, 3), math.nan)}, "'syn': weights"),
        ({"weights": np.ones((3, 4))}, "'syn': weights of shape"),
        ({"sign": "exc", "weights": np.full((4, 3), -1.0)}, "'syn': weights"),
        ({"pre": "pixel"}, "'syn': population 'pixel' does not exist; did you mean 'pixels'"),
        ({"post": "pixels", "pre": "cells"}, "'syn': 'pixels' is an input"),
    ],
)
def test_projections_that_make_no_sense(syn: dict[str, Any], message: str, pair: MakeGraph, anything: Target) -> None:
    with pytest.raises(ValidationError, match=message):
        compile_graph(pair(syn=syn), anything)


def test_plastic_projection_needs_one_unit(pair: MakeGraph, anything: Target) -> None:
    rule = STDP(a_plus=0.05, a_minus=0.05, tau_plus=20e-3, tau_minus=20e-3, w_max=1.0)
    graph = pair(cells={"tau_s": np.array([1e-3, 2e-3, 3e-3])}, syn={"rule": rule, "sign": "exc", "w_max": 1.0})
    with pytest.raises(ValidationError, match="'syn' is plastic and 'cells' has neurons of different gain"):
        compile_graph(graph, anything)


# -------------------------------------------------------------------------------------------------------- targets

NEEDS: list[tuple[str, dict[str, Any], str]] = [
    ("refractory", {"cells": {"refractory": 5e-3}}, r"'test:less' does not hold a refractory period, .* 'cells'"),
    ("adaptive_threshold", {"cells": ADAPTED}, r"an adaptive threshold, needed by 'cells'; use a fixed threshold"),
    ("delays", {"syn": {"delays": 3}}, r"delays over one step, needed by 'syn'; use a delay of one step"),
    ("scheduled_reset", {"cells": {"reset_interval": 10}}, r"a scheduled reset, needed by 'cells'"),
    ("ternary", {"cells": {"kind": "ternary"}}, r"ternary neurons, needed by 'cells'; use two lif populations"),
]


@pytest.mark.parametrize(("feature", "more", "message"), NEEDS)
def test_features_that_a_target_lacks(
    feature: str, more: dict[str, Any], message: str, pair: MakeGraph, anything: Target
) -> None:
    graph = pair(**more)
    less = replace(anything, name="test:less", features=anything.features - {feature})
    with pytest.raises(UnsupportedError, match=message):
        compile_graph(graph, targets=[anything, less])
    assert compile_graph(graph, anything)


@pytest.mark.parametrize("rounding", ["shared", "synapse"])
def test_rounding_that_a_target_lacks(rounding: Any, learner: Graph, anything: Target) -> None:
    less = replace(anything, features=frozenset(FEATURES) - {f"{rounding}_rounding"})
    other = "shared" if rounding == "synapse" else "synapse"
    with pytest.raises(UnsupportedError, match=f"needed by 'syn'; compile with rounding='{other}'"):
        compile_graph(learner, less, rounding=rounding)


def test_frozen_target_refuses_plasticity_by_name(learner: Graph, anything: Target) -> None:
    less = replace(anything, features=anything.features - {"plastic"})
    with pytest.raises(UnsupportedError, match="plasticity, needed by 'syn'; freeze the weights"):
        compile_graph(learner, less)


def test_too_large_an_image(pair: MakeGraph, anything: Target) -> None:
    small = replace(anything, name="test:small", image_max=4096)
    need = "'test:small' cannot hold 'pair': program memory needs at least 10000 bytes, limit 4096"
    hint = "the largest projection is 'syn' with 10000 synapses; about 41% of"
    with pytest.raises(CapacityError, match=f"{need}; {hint}"):
        compile_graph(pair(100, 100), targets=[anything, small])


def test_too_large_a_state(pair: MakeGraph, anything: Target) -> None:
    small = replace(anything, name="test:small", arena_max=1000)
    # u, v and one slot of the ring, 4 bytes each, for 100 neurons
    with pytest.raises(CapacityError, match=r"working memory needs at least 1200 bytes, limit 1000"):
        compile_graph(pair(4, 100), small)


def test_too_small_an_arena_as_the_verifier_counts_it(pair: MakeGraph, anything: Target) -> None:
    need = arena_bytes(compile_graph(pair(), anything).image)
    if need is None:
        pytest.skip("the C engine is not built: run `make build`")
    assert compile_graph(pair(), replace(anything, arena_max=need))
    with pytest.raises(CapacityError, match=f"working memory needs {need} bytes, limit {need - 1}"):
        compile_graph(pair(), replace(anything, arena_max=need - 1))


def test_report_counts_in_the_image(pair: MakeGraph, anything: Target) -> None:
    """A program that only just fits without its report does not fit with it, and that is found."""
    size = len(compile_graph(pair(), anything, passes=PASSES[:-1]).image)
    with pytest.raises(CapacityError, match=f"limit {size}"):
        compile_graph(pair(), replace(anything, image_max=size))


# --------------------------------------------------------------------------------------------------------- calls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "loihi"}, "profile 'loihi' is unknown; did you mean 'loihi2'"),
        ({"rounding": "share"}, "rounding 'share' is unknown; did you mean 'shared'"),
        ({"targets": []}, "targets is empty"),
        ({"target": "cpu", "targets": ["cpu"]}, "target or targets, not both"),
    ],
)
def test_calls_that_cannot_be_meant(options: dict[str, Any], message: str, pair: MakeGraph) -> None:
    with pytest.raises(ValidationError, match=message):
        compile_graph(pair(), **options)
