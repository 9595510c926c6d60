"""The worker's module: a pipe to the parent, Lava behind it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import shared_memory

from neuromorph.stepped import Machine
from neuromorph.worker.server import Pipe, serve


def main() -> None:
    """Serve the mode given on the command line."""
    options = json.loads(sys.argv[1])
    on_chip = False
    pipe = Pipe(options["mark"])  # the parent hears that we live while Lava is imported
    # Segments under the parent's mark can be removed whatever happens here.
    shared_memory._SHM_NAME_PREFIX = f"/{options['mark']}"  # type: ignore[attr-defined]
    try:
        if options["mode"] == "fast":
            from neuromorph_lava import fast

            machine: Callable[[bytes], Machine] = fast.FastMachine
        else:
            from neuromorph_lava import hardware, runtime

            on_chip = hardware.has_chip()
            machine = hardware.HardwareMachine if on_chip else runtime.RuntimeMachine
        versions = {name: version(name) for name in ("lava-nc", "numpy", "scipy")}
        versions["runs on"] = "Loihi 2" if on_chip else "this computer"
    except Exception as error:
        pipe.fail(error)
        raise
    serve(pipe, machine, versions)


if __name__ == "__main__":
    main()
