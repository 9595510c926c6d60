"""neuromorph: spiking networks that learn, as one integer program, equal to the bit on laptops and microcontrollers.

    import neuromorph as nm
    from neuromorph.units import Hz, ms

    net = nm.Network(name="demo", dt=1 * ms, seed=1)
    noise = net.input(20, name="noise", source=nm.Poisson(50 * Hz))
    cells = net.population(10, nm.LIF(tau_m=20 * ms, tau_s=5 * ms), name="cells")
    net.connect(noise, cells, weights=nm.Uniform(0.0, 0.3))
    net.probe(cells, "spikes")
    trace = nm.run(net, target="cpu", duration=1.0)

Names are imported when they are first used, so that ``import neuromorph`` costs little more than NumPy.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuromorph import plasticity, program, units
    from neuromorph.compare import compare
    from neuromorph.compile import compile  # noqa: A004
    from neuromorph.distributions import Constant, LogNormal, Normal, Uniform
    from neuromorph.encoders import LatencyEncoder, RateEncoder
    from neuromorph.errors import (
        CapacityError,
        ImageError,
        LinkError,
        NeuromorphError,
        RuleError,
        TargetError,
        UnsupportedError,
        ValidationError,
    )
    from neuromorph.inputs import Poisson, SpikeArray, SpikeTrain
    from neuromorph.network import Network
    from neuromorph.neurons import LIF, LIFReset, TernaryLIF
    from neuromorph.open import open, run  # noqa: A004
    from neuromorph.program import Program
    from neuromorph.session import Session
    from neuromorph.state import State
    from neuromorph.topology import AllToAll, Explicit, FixedInDegree, FixedProbability, OneToOne
    from neuromorph.trace import Trace

    __version__: str

__all__ = [
    "LIF", "AllToAll", "CapacityError", "Constant", "Explicit", "FixedInDegree", "FixedProbability", "ImageError",
    "LIFReset", "LatencyEncoder", "LinkError", "LogNormal", "Network", "NeuromorphError", "Normal", "OneToOne",
    "Poisson", "Program", "RateEncoder", "RuleError", "Session", "SpikeArray", "SpikeTrain", "State", "TargetError",
    "TernaryLIF", "Trace", "Uniform", "UnsupportedError", "ValidationError", "compare", "compile", "open", "plasticity",
    "program", "run", "units",
]  # fmt: skip

_HOMES = {
    "compare": ("compare",),
    "compile": ("compile",),
    "distributions": ("Constant", "LogNormal", "Normal", "Uniform"),
    "encoders": ("LatencyEncoder", "RateEncoder"),
    "errors": (
        "CapacityError", "ImageError", "LinkError", "NeuromorphError", "RuleError", "TargetError", "UnsupportedError",
        "ValidationError",
    ),
    "inputs": ("Poisson", "SpikeArray", "SpikeTrain"),
    "network": ("Network",),
    "neurons": ("LIF", "LIFReset", "TernaryLIF"),
    "open": ("open", "run"),
    "program": ("Program",),
    "session": ("Session",),
    "state": ("State",),
    "topology": ("AllToAll", "Explicit", "FixedInDegree", "FixedProbability", "OneToOne"),
    "trace": ("Trace",),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("plasticity", "program", "units")


class _Package(ModuleType):
    """The package as a module whose functions `compare`, `compile` and `open` keep their names.

    The import system binds a submodule in its package when it is first imported; these have the names of public
    functions.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in _HOME):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("neuromorph")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
