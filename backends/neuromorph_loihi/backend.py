"""What the package offers to `neuromorph.targets`; engines are imported when they are opened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from neuromorph.engine import Engine, Target
from neuromorph.errors import TargetError
from neuromorph_loihi.chips import LOIHI_1, LOIHI_2, Chip

if TYPE_CHECKING:
    from neuromorph.program import Program
    from neuromorph.report import Section

__all__ = ["LoihiBackend"]

_CHIPS = {chip.target: chip for chip in (LOIHI_2, LOIHI_1)}


def _place(chip: Chip, program: Program) -> Section:
    from neuromorph_loihi.placement import place
    from neuromorph_loihi.use import use_section

    return use_section(place(program, chip))


def _target(chip: Chip) -> Target:
    what = f"the C engine under the limits of a {chip.board} of {chip.chips.value} {chip.model}; integers as Lava's"
    return Target(
        chip.target, "emulator", "integer", what, arena_max=1 << 31, features=chip.features,
        input_max=(1 << chip.input_bits.value) - 1, exponents=(chip.weight_exp_min.value, chip.weight_exp_max.value),
        place=partial(_place, chip),
    )  # fmt: skip


_TARGETS = tuple(map(_target, _CHIPS.values()))


@dataclass(frozen=True, slots=True)
class LoihiBackend:
    """The chips, emulated in this process."""

    def targets(self) -> tuple[Target, ...]:
        """`loihi` and `loihi:1`."""
        return _TARGETS

    def find(self, name: str) -> Target | None:
        """The target of that name."""
        return next((t for t in _TARGETS if t.name == name), None)

    def open(self, target: Target) -> Engine:
        """A fresh engine."""
        if target.name not in _CHIPS:
            raise TargetError(f"{target.name!r} is no target of this backend; it has {', '.join(_CHIPS)}")
        from neuromorph_loihi.engine import LoihiEngine

        return LoihiEngine(target, _CHIPS[target.name])

    def available(self, target: Target) -> str:  # noqa: ARG002
        """Empty, or what is missing."""
        from neuromorph_cpu.native import library_path

        path = library_path()
        return "" if path.exists() else f"{path.name} was not built: run `make build` in a checkout, or reinstall"
