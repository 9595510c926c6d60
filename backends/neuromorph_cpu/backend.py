"""What the package offers to `neuromorph.targets`; engines are imported when they are opened."""

from __future__ import annotations

from dataclasses import dataclass

from neuromorph.engine import Engine, Target
from neuromorph.errors import TargetError
from neuromorph.image import FEATURES
from neuromorph.profiles import PROFILES

__all__ = ["CpuBackend"]

_ALL, _PROFILES = frozenset(FEATURES), frozenset(PROFILES)
_TARGETS = tuple(
    Target(name, "simulator", numbers, description, arena_max=most, features=_ALL, profiles=_PROFILES)
    for name, numbers, description, most in (
        ("cpu", "integer", "the C engine in process: the default, fast", 1 << 31),
        ("cpu:ref", "integer", "the executable specification: readable, slow", 0),
        ("cpu:float", "float", "the ideal model in float64, no rounding", 0),
    )
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
