"""Build hook: compile the C core and put the result into the wheel, or leave it in the checkout (editable)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CoreBuildHook(BuildHookInterface[Any]):
    """Runs ``firmware/build.py`` and tags the wheel for any Python 3 on this kind of host (ctypes loads the engine)."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the outputs as artifacts: they are in no version control, so hatchling would skip them."""
        if self.target_name != "wheel":
            return
        build = _load(Path(self.root) / "firmware" / "build.py")
        outputs = build.build(say=False, checks=version == "editable")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{build.PLATFORMS[build.host_platform()].wheel_tag}"
        build_data["artifacts"] += [f"/{path.relative_to(self.root).as_posix()}" for path in outputs]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("neuromorph_firmware_build", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up here
    spec.loader.exec_module(module)
    return module
