"""What the package offers to `neuromorph.targets`; engines are imported when they are opened."""

from __future__ import annotations

from dataclasses import dataclass

from neuromorph.engine import Engine, Target
from neuromorph.errors import TargetError
from neuromorph.image import FEATURES

__all__ = ["CpuBackend"]

_ALL = frozenset(FEATURES)
_TARGETS = (
    Target("cpu", "simulator", "integer", "the C engine in process: the default, fast", 0, 1 << 31, _ALL),
    Target("cpu:ref", "simulator", "integer", "the executable specification: readable, slow", features=_ALL),
    Target("cpu:float", "simulator", "float", "the ideal model in float64, no rounding", features=_ALL),
)


@dataclass(frozen=True, slots=True)
class CpuBackend:
    """Targets that run in this process."""

    def targets(self) -> tuple[Target, ...]:
        """`cpu`, `cpu:ref`, `cpu:float`."""
        return _TARGETS

    def find(self, name: str) -> Target | None:
        """The target of that name."""
        return next((t for t in _TARGETS if t.name == name), None)

    def open(self, target: Target) -> Engine:
        """A fresh engine."""
        if target.name == "cpu":
            from neuromorph_cpu.native import NativeEngine

            return NativeEngine()
        if target.name == "cpu:ref":
            from neuromorph_cpu.ref_engine import RefEngine

            return RefEngine()
        if target.name == "cpu:float":
            from neuromorph_cpu.float_target import FloatTarget

            return FloatTarget()
        raise TargetError(f"{target.name!r} is no target of this backend; it has {', '.join(t.name for t in _TARGETS)}")

    def available(self, target: Target) -> str:
        """Empty, or what is missing."""
        if target.name != "cpu":
            return ""
        from neuromorph_cpu.native import library_path

        path = library_path()
        return "" if path.exists() else f"{path.name} was not built: run `make build` in a checkout, or reinstall"
