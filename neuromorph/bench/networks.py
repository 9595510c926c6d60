"""The four benchmark networks as exact programs, seeded, the same on every machine.

`N1` 256 Poisson inputs at 20 Hz to 256 neurons, dense, static. `N2` 4000 excitatory and 1000 inhibitory neurons,
2.5 million synapses, delay 2 steps. `N3` 784 inputs to 400 neurons, all-to-all pair STDP, lateral inhibition. `N4` 1000
inputs to 1000 neurons, a million plastic synapses. `N3e`, `N4e`: a learning epoch of 4 steps. dt is 1 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace

__all__ = ["NETWORKS", "Benchmark", "benchmark"]

DU, DV = 741, 200  # 5 ms and 20 ms: u keeps (4095 - 741) / 4096
RATE = 0.02  # spikes per input and step
NETWORKS = ("N1", "N2", "N3", "N4", "N3e", "N4e")
EPOCH = 4
A_PLUS, A_MINUS, TAU = 2.0, 2.1, 20.0
"""Largest change of a pair, in units of the weight, and steps of the window."""
_PROBES = (Probe("cells.spikes", "cells", "spikes"),)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A program, its input raster (steps, n) or None, and the number of steps."""

    name: str
    program: Program
    raster: NDArray[np.bool_] | None
    steps: int


def benchmark(name: str, scale: float = 1.0) -> Benchmark:
    """A benchmark network by name.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    scale : float
        Share of the neurons (0..1], for machines that cannot hold the whole; thresholds are scaled along.
    """
    if name not in NETWORKS:
        raise ValidationError(f"benchmark {name!r} is unknown; one of {', '.join(NETWORKS)}")
    if not 0 < scale <= 1:
        raise ValidationError(f"scale {scale} is outside 0..1 (share of the neurons)")
    made = {"N1": _n1, "N2": _n2, "N3": _n3, "N4": _n4}[name[:2]]
    return made(name, scale)


def _raster(seed: int, steps: int, n: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((steps, n)) < RATE


def _size(n: int, scale: float) -> int:
    return max(4, round(n * scale))


def _n1(name: str, scale: float) -> Benchmark:
    n_in = n = _size(256, scale)
    weights = np.random.default_rng(11).integers(-64, 128, (n_in, n))
    pops = [Population("input", n_in, "input"), Population("cells", n, du=DU, dv=DV, vth=round(15000 * scale))]
    program = build(pops, [Projection("weights", "input", "cells", weights)], probes=_PROBES, name=name)
    return Benchmark(name, program, _raster(1, 2000, n_in), 2000)


def _n2(name: str, scale: float) -> Benchmark:
    ne, ni, ke, ki = (_size(k, scale) for k in (4000, 1000, 400, 100))
    n, vth = ne + ni, 1000
    rng = np.random.default_rng(12)
    pre = np.empty((n, ke + ki), np.int64)
    for j in range(n):
        pre[j, :ke] = rng.choice(ne, ke, replace=False)
        pre[j, ke:] = ne + rng.choice(ni, ki, replace=False)
    post = np.repeat(np.arange(n), ke + ki)
    order = np.lexsort((post, pre.ravel()))
    source, target = pre.ravel()[order], post[order]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))])
    # Fewer synapses are stronger, so that the network stays as active.
    weights = np.where(source < ne, 2 * round(5 / scale), -2 * round(30 / scale)).clip(-256, 254)
    drive = round(1300 * (1 - np.exp(-1 / 20)) * 64)
    v0 = np.random.default_rng(14).integers(0, vth, 5000)[:n] * 64
    cells = Population("cells", n, du=4095, dv=DV, vth=vth, bias=drive, init_v=v0)
    recurrent = Projection("recurrent", "cells", "cells", weights, delays=1, indptr=indptr, indices=target)
    program = build([cells], [recurrent], probes=_PROBES, name=name)
    return Benchmark(name, program, None, 1000)


def _plastic(
    name: str, n_in: int, n: int, vth: int, weights: NDArray[np.int64], inhibition: int, raster: NDArray[np.bool_]
) -> Benchmark:
    """Weights 0..255 stand for 0..127.5: thresholds, inhibition and impulses are doubled."""
    epoch = EPOCH if name.endswith("e") else 1
    rule = Rule(
        dw=(Product("y0", 1, 0, (Factor("x1"),)), Product("x0", -1, 0, (Factor("y1"),))),
        traces={"x1": Trace.of(A_PLUS, TAU), "y1": Trace.of(A_MINUS, TAU)},
        t_epoch=epoch,
    )
    pops = [Population("input", n_in, "input"), Population("cells", n, du=DU, dv=DV, vth=2 * vth)]
    projs = [Projection("plastic", "input", "cells", 2 * weights, sign_mode="exc", rule=rule)]
    if inhibition:
        lateral = np.full((n, n), 2 * inhibition)
        np.fill_diagonal(lateral, 0)
        projs.append(Projection("lateral", "cells", "cells", lateral, sign_mode="inh"))
    program = build(pops, projs, probes=_PROBES, name=name)
    return Benchmark(name, program, raster, len(raster))


def _n3(name: str, scale: float) -> Benchmark:
    n_in, n = _size(784, scale), _size(400, scale)
    weights = np.random.default_rng(13).integers(0, 60, (784, 400))[:n_in, :n]
    return _plastic(name, n_in, n, round(36000 * scale), weights, -40, _raster(3, 2000, n_in))


def _n4(name: str, scale: float) -> Benchmark:
    n = _size(1000, scale)
    weights = np.random.default_rng(13).integers(0, 60, (1000, 1000))[:n, :n]
    return _plastic(name, n, n, round(60000 * scale), weights, 0, _raster(4, 1000, n))
