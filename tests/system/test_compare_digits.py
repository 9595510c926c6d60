"""``neuromorph compare digits``: equal on all machines; one changed weight is found where it first shows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.cli import main
from neuromorph.examples import digits
from neuromorph.models import with_weight
from neuromorph.program import Program
from neuromorph_cpu.ref import Reference

TARGETS = ("cpu:ref", "cpu", "mcu:m4", "mcu:m0")
STEPS = 120

pytest.importorskip("sklearn", reason="pip install 'neuromorph[examples]'")


def compare(capsys: pytest.CaptureFixture[str], *arguments: object, code: int) -> Any:
    command = ["compare", "digits", "--targets", ",".join(TARGETS), "--duration", str(STEPS / 1000), "--json"]
    assert main([*command, *map(str, arguments)]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def program() -> Program:
    return nm.compile(digits.network(), targets=list(TARGETS))


def payloads(step: int) -> dict[str, Any]:
    """The image that is shown at a step."""
    image, at = divmod(step - 1, digits.STEPS)
    return {"pixels": digits.DEFAULT.payloads[image]} if at == 0 else {}


def first_difference(one: Program, two: Program) -> dict[str, Any] | None:
    """Two specifications side by side, step by step; the changed weight itself is not an effect."""
    a, b = Reference(one), Reference(two)
    same = {key: a.state[key] == b.state[key] for key in a.state}
    for step in range(1, STEPS + 1):
        for machine in (a, b):
            machine.step(payloads(step))
        for variable in ("u", "theta", "refr", "v", "tx", "ty", "x1", "x2", "y1", "y2", "y3", "w"):
            for key in (key for key in a.state if key[1] == variable):
                wrong = np.argwhere((a.state[key] != b.state[key]) & same[key])
                if wrong.size:
                    at = tuple(int(k) for k in wrong[0])
                    return {
                        "step": step, "object": key[0], "element": at[0] if len(at) == 1 else list(at),
                        "variable": variable, "values": (int(a.state[key][at]), int(b.state[key][at])),
                    }  # fmt: skip
    return None


def first_cell(program: Program) -> int:
    """The cell that spikes first."""
    machine = Reference(program)
    for step in range(1, STEPS + 1):
        machine.step(payloads(step))
        if machine.spikes["cells"].payload.any():
            return int(np.argmax(machine.spikes["cells"].payload))
    raise LookupError


def test_all_machines_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    data = compare(capsys, code=0)
    assert data["equal"] is True
    assert data["first"] is None
    assert data["targets"] == list(TARGETS)
    assert data["steps"] == STEPS
    assert data["values_compared"] > 3 * STEPS * 100  # three pairs, each cell at each step


@pytest.mark.parametrize("target", TARGETS[1:])
@pytest.mark.parametrize("projection", ["syn", "inhibition", "from_relay"])
def test_one_changed_weight_is_found_where_it_first_shows(
    projection: str, target: str, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a learning synapse; of one that acts only when its cell wins; of one behind the relay."""
    held = program.projections[projection].weights
    pixel = int(np.argmax(digits.DEFAULT.payloads[0]))
    pre = {"syn": pixel, "inhibition": first_cell(program), "from_relay": 0}[projection]
    post = 7
    old = int(held[pre, post])
    value = old - 40 if old > 60 else old + 40
    expected = first_difference(program, with_weight(program, projection, pre, post, value))
    assert expected is not None
    data = compare(capsys, "--patch-weight", f"{projection}:{pre}:{post}:{value}@{target}", code=1)
    assert data["equal"] is False
    found = data["first"]
    values = (found["values"]["cpu:ref"], found["values"][f"{target} (patched)"])
    assert {**found, "values": values} == expected


def test_the_message_names_step_neuron_variable_and_both_values(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    pixel = int(np.argmax(digits.DEFAULT.payloads[0]))
    expected = first_difference(program, with_weight(program, "syn", pixel, 3, 255))
    assert expected is not None
    command = ["compare", "digits", "--targets", "cpu:ref,cpu", "--duration", str(STEPS / 1000)]
    assert main([*command, "--patch-weight", f"syn:{pixel}:3:255@cpu"]) == 1
    shown = capsys.readouterr().out
    a, b = expected["values"]
    where = f"step {expected['step']}, {expected['object']}[{expected['element']}], {expected['variable']}: {a} / {b}"
    assert where in shown
    assert f"the programs differ: syn.weights[{pixel}, 3]: " in shown
