"""What the package offers to `neuromorph.targets`; engines are imported when they are opened."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from neuromorph.engine import Engine, Target
from neuromorph.image import FEATURES
from neuromorph_mcu.boards import BOARDS

__all__ = ["McuBackend"]

_ALL = frozenset(FEATURES)
_DEFAULT = "m4"


def _emulated(name: str, core: str) -> Target:
    pool = BOARDS[core].pool
    what = f"the firmware on an emulated Cortex-{core.upper()}, in process, through the serial protocol"
    return Target(name, "emulator", "integer", what, image_max=pool, arena_max=pool, features=_ALL)


_TARGETS = (_emulated("mcu", _DEFAULT), *(_emulated(f"mcu:{core}", core) for core in BOARDS))


@dataclass(frozen=True, slots=True)
class McuBackend:
    """Boards, emulated and real."""

    def targets(self) -> tuple[Target, ...]:
        """The emulated boards."""
        return _TARGETS

    def find(self, name: str) -> Target | None:
        """An emulated board, or ``mcu:<port>`` with any port of pyserial (``/dev/ttyACM0``, ``COM3``, a URL)."""
        known = next((t for t in _TARGETS if t.name == name), None)
        port = _port(name)
        if known is not None or not port:
            return known
        return Target(name, "hardware", "integer", f"the board at {port}; HELLO tells its limits", features=_ALL)

    def open(self, target: Target) -> Engine:
        """Open the port and greet the board."""
        from neuromorph_mcu.engine import McuEngine

        if target.kind == "emulator":
            core = target.name.partition(":")[2] or _DEFAULT
            return McuEngine(target.name, f"nmemu://{BOARDS[core].name}")
        return McuEngine(target.name, _port(target.name))

    def available(self, target: Target) -> str:
        """Empty, or what is missing."""
        needs = {"serial": "pyserial"}
        if target.kind == "emulator":
            needs |= {"unicorn": "Unicorn", "elftools": "pyelftools"}
        missing = [name for module, name in needs.items() if find_spec(module) is None]
        if missing:
            return f"needs {', '.join(missing)}: pip install 'neuromorph[mcu]'"
        elf = BOARDS[target.name.partition(":")[2] or _DEFAULT].elf if target.kind == "emulator" else None
        return "" if elf is None or elf.is_file() else f"{elf.name} was not built: run `make build`, or reinstall"


def _port(name: str) -> str:
    """The port in a target's name, empty if it names none."""
    family, _, port = name.partition(":")
    looks_like_port = "/" in port or port.upper().startswith("COM")
    return port if family == "mcu" and looks_like_port else ""
