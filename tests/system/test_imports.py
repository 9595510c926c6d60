"""What is imported when: the package needs NumPy and the standard library alone until something asks for more."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIST = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def imported(code: str) -> set[str]:
    """Packages that a fresh Python holds after some code, beyond those that it starts with."""
    found = []
    for part in ("", code):
        done = subprocess.run(
            [sys.executable, "-c", f"{part}\n{LIST}"], capture_output=True, text=True, timeout=60, check=True
        )
        found.append(set(done.stdout.split()))
    known = sys.stdlib_module_names | {"cython_runtime"}  # the latter comes with NumPy
    return {name for name in found[1] - found[0] - known if not name.startswith("_")}


ALONE = {"neuromorph", "numpy"}
RUNNING = ALONE | {"neuromorph_cpu"}
NETWORK = """
import neuromorph as nm
from neuromorph.plasticity import STDP
net = nm.Network(name="n", seed=1)
source = net.input(3, name="source")
cells = net.population(2, nm.LIF(tau_m=0.02), name="cells")
rule = STDP(a_plus=0.01, a_minus=0.01, tau_plus=0.02, tau_minus=0.02, w_max=1.0)
net.connect(source, cells, weights=0.5, plasticity=rule, name="syn")
net.probe(cells, "spikes")
"""


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import neuromorph", ALONE),
        ("import neuromorph.plasticity, neuromorph.units, neuromorph.program", ALONE),
        (f"{NETWORK}nm.compile(net, target='cpu')", RUNNING),
        (f"{NETWORK}nm.run(net, steps=5, inputs={{source: nm.Poisson(9.0)}})", RUNNING),
        (f"{NETWORK}nm.run(net, 'cpu:ref', steps=5)", RUNNING),
    ],
    ids=["import", "description", "compile", "run", "specification"],
)  # fmt: skip
def test_only_numpy_and_the_standard_library(code: str, allowed: set[str]) -> None:
    """Neither matplotlib, serial, unicorn, click, msgspec, rich, sklearn nor scipy; other backends only as names."""
    found = imported(code) - allowed
    assert not found - {"neuromorph_mcu", "neuromorph_loihi", "neuromorph_lava"}, found


def test_a_board_does_not_bring_the_rest_along() -> None:
    found = imported(f"{NETWORK}nm.run(net, 'mcu', steps=5)")
    assert {"serial", "unicorn"} <= found
    assert not found & {"matplotlib", "click", "rich", "sklearn", "scipy"}
