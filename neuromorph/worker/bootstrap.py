"""First script of a worker: makes some packages importable by their folders, and runs the worker's module.

    python -I bootstrap.py '{"packages": {"neuromorph": "/path/neuromorph", ...}, "module": "neuromorph_lava.worker"}'

Only the packages named are taken from outside the worker's environment, so that nothing of the parent's environment
(its NumPy, made for another Python) gets in. Standard library only.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any


class Folders:
    """Finds top-level packages in given folders."""

    def __init__(self, folders: dict[str, str]) -> None:
        self.folders = folders

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """The specification of a package of ours, else None."""
        folder = self.folders.get(name)
        if folder is None:
            return None
        return spec_from_file_location(name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])


def main(arguments: dict[str, Any]) -> None:
    """Run the module as a script."""
    sys.meta_path.insert(0, Folders(arguments["packages"]))
    sys.argv[1:] = [json.dumps(arguments.get("options", {}))]
    runpy.run_module(arguments["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
