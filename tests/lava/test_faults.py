"""Lava's runtime hangs where a model raises or a process dies; a session does not."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import neuromorph
import neuromorph_lava
from neuromorph.errors import TargetError
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.session import Session
from neuromorph.testing.leftovers import processes, segments
from neuromorph.worker.engine import WorkerEngine
from neuromorph.worker.process import Worker
from neuromorph_lava.backend import ENVIRONMENT

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.skipif(ENVIRONMENT.found() is None, reason="needs Lava: neuromorph targets install loihi:lava"),
]
LIMIT = 10.0


def program() -> Program:
    return build(
        [Population("in", 3, "input"), Population("cells", 2, vth=100, bias=900)],
        [Projection("syn", "in", "cells", np.full((3, 2), 50), sign_mode="exc")],
        probes=(Probe("spikes", "cells", "spikes"),),
    )


def open_engine(module: str, mode: str) -> WorkerEngine:
    packages = {
        "neuromorph": Path(neuromorph.__file__).parent, "neuromorph_lava": Path(neuromorph_lava.__file__).parent,
        "broken": Path(__file__).parent / "broken",
    }  # fmt: skip
    found = ENVIRONMENT.found()
    assert found is not None
    folders = {name: str(folder) for name, folder in packages.items()}
    return WorkerEngine("loihi:lava", lambda: Worker("loihi:lava", found.python, module, folders, {"mode": mode}))


@pytest.mark.parametrize("mode", ["runtime", "fast"])
def test_a_model_that_raises_is_an_error_with_its_words(mode: str) -> None:
    engine = open_engine("broken.worker", mode)
    engine.load(program().image)
    leader, mark, begin = engine.worker.pid, engine.worker.mark, time.monotonic()
    with pytest.raises(TargetError, match="ufunc 'left_shift' not supported") as error:
        Session(program(), engine).run(steps=50)
    assert time.monotonic() - begin < LIMIT
    if mode == "runtime":
        assert "model of 'cells' failed at step 5" in str(error.value)
    engine.close()
    assert not processes(leader)
    assert not segments(mark)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("whom", ["worker", "one of Lava's processes"])
def test_a_process_that_dies_or_stops_is_noticed(number: signal.Signals, whom: str) -> None:
    engine = open_engine("neuromorph_lava.worker", "runtime")
    engine.load(program().image)
    leader, mark, struck = engine.worker.pid, engine.worker.mark, []

    def strike() -> None:
        end = time.monotonic() + 60
        while len(processes(leader)) < 6 and time.monotonic() < end:  # Lava has started its processes
            time.sleep(0.02)
        time.sleep(1.0)
        struck.append(time.monotonic())
        os.kill(leader if whom == "worker" else max(processes(leader)), number)

    thread = threading.Thread(target=strike)
    thread.start()
    session = Session(program(), engine)
    with pytest.raises(TargetError):
        session.run(steps=200_000)
    assert time.monotonic() - struck[0] < LIMIT
    thread.join()
    assert not processes(leader)
    assert not segments(mark)
    session.reset()  # the same session goes on with another worker
    assert session.run(steps=3).complete
    mark = engine.worker.mark
    engine.close()
    assert not segments(mark)
