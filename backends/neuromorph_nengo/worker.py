"""The worker's module: a pipe to the parent, nengo-loihi behind it."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

from neuromorph.worker.server import Pipe, serve


def main() -> None:
    """Serve the emulator."""
    pipe = Pipe(json.loads(sys.argv[1])["mark"])  # the parent hears that we live while nengo is imported
    try:
        from neuromorph_nengo.machine import NengoMachine

        versions = {name: version(name) for name in ("nengo-loihi", "nengo", "numpy")}
    except Exception as error:
        pipe.fail(error)
        raise
    serve(pipe, NengoMachine, versions)


if __name__ == "__main__":
    main()
