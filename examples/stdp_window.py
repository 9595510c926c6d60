"""The STDP window: pairs of spikes at every distance, on the emulated board; compared with the formula, and plotted.

python examples/stdp_window.py [TARGET] [PICTURE]
"""

from __future__ import annotations

import sys

import matplotlib
import numpy as np

import neuromorph as nm
from neuromorph.plasticity import STDP
from neuromorph.units import ms

A, TAU, W0 = 0.02, 20 * ms, 0.5
DISTANCES = np.arange(-60, 61, 2)  # ms, from the presynaptic to the postsynaptic spike
PAIRS, PERIOD = 20, 400  # pairs per synapse, steps between them


def network() -> nm.Network:
    """For each distance an input, a cell that a teacher makes fire, and a plastic synapse too weak to do so."""
    n = DISTANCES.size
    net = nm.Network(name="stdp_window", dt=1 * ms, seed=1)
    pre, teacher = net.input(n, name="pre"), net.input(n, name="teacher")
    cells = net.population(n, nm.LIF(tau_m=5 * ms, v_th=10.0), name="cells")
    rule = STDP(a_plus=A, a_minus=A, tau_plus=TAU, tau_minus=TAU, w_max=1.0)
    net.connect(pre, cells, weights=W0, topology=nm.OneToOne(), plasticity=rule, name="syn")
    net.connect(teacher, cells, weights=15.0, topology=nm.OneToOne(), name="teach")
    return net


def inputs() -> dict[str, nm.SpikeTrain]:
    """The pairs. A teacher's spike makes its cell fire one step later."""
    n = DISTANCES.size
    at, cell = np.repeat(np.arange(PAIRS) * PERIOD + PERIOD // 2, n), np.tile(np.arange(n), PAIRS)
    return {"pre": nm.SpikeTrain(at, cell), "teacher": nm.SpikeTrain(at + np.tile(DISTANCES, PAIRS) - 1, cell)}


def window(target: str) -> np.ndarray:
    """Change of the weight per pair at each distance."""
    with nm.open(network(), target) as session:
        before = session.read("syn", "w", physical=True)  # W0 as the machine holds it
        session.run(steps=PAIRS * PERIOD, inputs=inputs())
        return (session.read("syn", "w", physical=True) - before) / PAIRS


def formula() -> np.ndarray:
    """``A exp(-D/tau)`` for D > 0, ``-A exp(D/tau)`` for D < 0; in one step both happen."""
    return np.sign(DISTANCES) * A * np.exp(-np.abs(DISTANCES) * ms / TAU)


def plot(measured: np.ndarray, target: str, path: str) -> None:
    """Both against the distance."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    axes.axhline(0, color="0.8", lw=1)
    axes.axvline(0, color="0.8", lw=1)
    for side in (DISTANCES < 0, DISTANCES > 0):
        axes.plot(DISTANCES[side], formula()[side], color="tab:blue", label="formula" if side[0] else None)
    axes.plot(DISTANCES, measured, "o", ms=4, color="tab:red", label=f"{target}, mean of {PAIRS} pairs")
    axes.set_xlabel("postsynaptic minus presynaptic spike (ms)")
    axes.set_ylabel("change of the weight per pair")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else "mcu"
    measured = window(target)
    error = np.abs(measured - formula()).max()
    print(f"{target}: largest deviation from the formula {error:.4f}, one weight step is {1 / 255:.4f}")
    plot(measured, target, sys.argv[2] if len(sys.argv) > 2 else "stdp_window.png")
