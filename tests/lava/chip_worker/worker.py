"""The worker on a host whose lava-loihi is the stand-in in `chip`: Loihi2HwCfg falls back to Lava's Python models."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType

from lava.magma.core import run_configs
from lava.utils import loihi

from neuromorph_lava import hardware
from neuromorph_lava.worker import main

if __name__ == "__main__":
    package = ModuleType("lava.proc.embedded_io")
    sys.modules |= {"lava.proc.embedded_io": package, "lava.proc.embedded_io.spike": import_module("chip.adapters")}
    loihi.is_installed = lambda: True
    loihi.host = "stand-in"
    run_configs.CLoihiProcessModel = type("CLoihiProcessModel", (), {})  # lava-nc alone has forgotten it
    vars(hardware)["Loihi2HwCfg"] = partial(run_configs.Loihi2HwCfg, select_tag="fixed_pt")
    main()
