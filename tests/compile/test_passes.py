"""What every pass makes of one small network, as files that a person can diff (tests/golden/compile)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuromorph.compile import PASSES, run_passes
from neuromorph.compile import compile as compile_graph
from neuromorph.engine import Target
from neuromorph.errors import ValidationError
from neuromorph.graph import Graph
from neuromorph.passes import Discretise, Pass, Quantise, State
from neuromorph.text import state_text

GOLDEN = Path(__file__).parent.parent / "golden" / "compile"
NAMES = [p.name for p in PASSES]


@pytest.mark.parametrize("name", ["discretise", "quantise", "legalise", "emit"])
def test_text_after_each_pass(name: str, learner: Graph, anything: Target) -> None:
    texts: dict[str, str] = {}
    compile_graph(learner, anything, on_pass=lambda at, state, _: texts.__setitem__(at, state_text(state)))
    kept = [line for line in texts[name].splitlines(keepends=True) if not line.startswith("memory ")]
    assert "".join(kept) == (GOLDEN / f"learner.{name}.txt").read_text()


def test_passes_run_in_order_and_are_timed(learner: Graph, anything: Target) -> None:
    seen: list[tuple[str, float]] = []
    compile_graph(learner, anything, on_pass=lambda name, _, seconds: seen.append((name, seconds)))
    assert [name for name, _ in seen] == ["discretise", "quantise", "legalise", "place", "emit"]
    assert all(seconds >= 0 for _, seconds in seen)


def test_print_after_shows_the_text(learner: Graph, anything: Target, capsys: pytest.CaptureFixture[str]) -> None:
    compile_graph(learner, anything, print_after="discretise")
    printed = capsys.readouterr().out
    assert printed == f"# after discretise\n{(GOLDEN / 'learner.discretise.txt').read_text()}\n"


def test_print_after_an_unknown_pass(learner: Graph, anything: Target) -> None:
    with pytest.raises(ValidationError, match="no pass 'quantize'; did you mean 'quantise'"):
        compile_graph(learner, anything, print_after="quantize")


def test_passes_are_values_with_options() -> None:
    assert Quantise() == Quantise(zero_share=0.05, payload_max=254)
    assert all(isinstance(p, Pass) for p in PASSES)
    with pytest.raises(AttributeError):
        Quantise().zero_share = 1.0  # type: ignore[misc]


def test_equal_networks_give_equal_programs(learner: Graph, anything: Target) -> None:
    one, two = (compile_graph(learner, anything) for _ in range(2))
    assert one.image == two.image


def test_targets_do_not_change_the_logical_program(learner: Graph, anything: Target) -> None:
    small = Target("test:small", "emulator", "integer", "", 1 << 20, 1 << 20, anything.features)
    assert compile_graph(learner, anything).digest == compile_graph(learner, targets=[anything, small]).digest


def test_rounding_is_part_of_the_program(learner: Graph, anything: Target) -> None:
    assert compile_graph(learner, anything, rounding="shared").rounding == "shared"
    assert compile_graph(learner, anything).rounding == "synapse"


def test_what_learns_on_a_target_with_shared_rounding_only_is_compiled_for_it(learner: Graph, anything: Target) -> None:
    alike = replace(anything, name="test:alike", features=anything.features - {"synapse_rounding"})
    made = compile_graph(learner, targets=[anything, alike])
    assert made.rounding == "shared"
    assert made.digest == compile_graph(learner, anything, rounding="shared").digest
    weights = tuple(replace(p, rule=None, w_max=None) for p in learner.projections)
    fixed = replace(learner, projections=weights, probes=(), schedule=())
    assert compile_graph(fixed, alike).rounding == "synapse"


def test_discretise_alone(learner: Graph) -> None:
    state = run_passes(State(learner), (Discretise(),))
    held = state.dynamics["cells"]
    assert held.ku == pytest.approx(np.exp(-1 / 5))
    assert held.kv == pytest.approx(np.exp(-1 / 50))
    assert held.gain == pytest.approx(1 - np.exp(-1 / 5))
    assert held.refractory == 3
    assert not state.populations
