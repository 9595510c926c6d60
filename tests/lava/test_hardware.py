"""The way to Loihi 2, as far as it can be gone without a chip: with a stand-in for lava-loihi.

The network is built as for the chip and run by Lava's `Loihi2HwCfg`, which takes Lava's models of this computer where
it finds none of the chip's. Nothing here has run on a chip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuromorph
import neuromorph_lava
from neuromorph.compare import compare
from neuromorph.errors import UnsupportedError
from neuromorph.inputs import SpikeTrain
from neuromorph.open import run as run_on
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.session import Session
from neuromorph.worker.engine import WorkerEngine
from neuromorph.worker.process import Worker
from neuromorph_lava.backend import ENVIRONMENT
from neuromorph_lava.holds import check_chip

PAIR = Rule(
    (Product("y0", 1, 0, (Factor("x1"),)), Product("x0", -1, 0, (Factor("y1"),))),
    traces={"x1": Trace(20, 0, 10.0), "y1": Trace(20, 0, 10.0)},
)


def program(probe: str = "spikes", neurons: dict[str, Any] | None = None, **projection: Any) -> Program:
    rng = np.random.default_rng(2)
    return build(
        [Population("in", 6, "input"), Population("cells", 4, du=1500, dv=300, vth=90, **(neurons or {}))],
        [
            Projection("plastic", "in", "cells", rng.integers(20, 60, (6, 4)), sign_mode="exc", rule=PAIR),
            Projection("delayed", "in", "cells", rng.integers(0, 40, (6, 4)), sign_mode="exc", delays=2, **projection),
            Projection("lateral", "cells", "cells", np.full((4, 4), -20), sign_mode="inh"),
        ],
        probes=(Probe("in.spikes", "in", "spikes"), Probe("probe", "cells", probe)), rounding="shared",
    )  # fmt: skip


@pytest.mark.skipif(ENVIRONMENT.found() is None, reason="needs Lava: neuromorph targets install loihi:lava")
def test_the_network_for_the_chip_is_the_same_network() -> None:
    here = Path(__file__).parent
    packages = {
        "neuromorph": Path(neuromorph.__file__).parent, "neuromorph_lava": Path(neuromorph_lava.__file__).parent,
        "chip": here / "chip", "chip_worker": here / "chip_worker",
    }  # fmt: skip
    found = ENVIRONMENT.found()
    assert found is not None
    folders = {name: str(folder) for name, folder in packages.items()}
    options = {"mode": "runtime"}
    engine = WorkerEngine(
        "loihi:lava", lambda: Worker("loihi:lava", found.python, "chip_worker.worker", folders, options)
    )
    steps, indices = np.nonzero(np.random.default_rng(1).random((60, 6)) < 0.3)
    spikes = {"in": SpikeTrain(steps + 1, indices)}
    engine.load(program().image)
    with Session(program(), engine) as session:
        assert engine.versions()["runs on"] == "Loihi 2"
        on_chip = session.run(steps=60, inputs=spikes)
        with pytest.raises(UnsupportedError, match=r"cells\.v stays on the chip"):
            session.read("cells", "v")
    reference = run_on(program(), "cpu:ref", steps=60, inputs=spikes)
    assert reference.spikes("probe").steps.size > 50
    assert compare(reference, on_chip).equal


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (program(neurons={"refractory": 3}), "'cells': a refractory period is not lowered to Loihi 2"),
        (program(neurons={"adaptive": True}), "'cells': an adaptive threshold"),
        (program(neurons={"bias": 1, "init_v": np.full(4, 64)}), "'cells': an initial state"),
        (program(probe="v"), "'probe': a state"),
    ],
)
def test_what_only_our_models_hold_is_refused_on_the_chip(made: Program, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        check_chip(made)
