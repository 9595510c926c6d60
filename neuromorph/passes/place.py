"""place: does the program fit each target? Bytes of image and of working memory, and the target's own layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from neuromorph.errors import CapacityError
from neuromorph.passes.base import Pass, State
from neuromorph.report import MemoryUse
from neuromorph.state import items

if TYPE_CHECKING:
    from neuromorph.engine import Target
    from neuromorph.program import Program

__all__ = ["Place", "arena_bytes", "check_capacity", "state_bytes"]

UNKNOWN_FEATURE = 4  # rule of the verifier (docs/image.md)


def state_bytes(program: Program) -> int:
    """Bytes of all dynamic state in canonical form: what any engine must hold at least."""
    return sum(item.count * item.dtype.itemsize for item in items(program))


def arena_bytes(image: bytes) -> int | None:
    """Working memory that the C engine needs, as its verifier says; None where that engine is not built."""
    from neuromorph.errors import ImageError, TargetError

    try:
        from neuromorph_cpu.native import verify
    except ImportError:
        return None
    try:
        return int(verify(image))
    except (TargetError, OSError, AttributeError):  # not built, or built for another version
        return None
    except ImageError as error:
        if error.rule == UNKNOWN_FEATURE:  # built before that feature was there
            return None
        raise


def check_capacity(program: Program, targets: tuple[Target, ...]) -> tuple[MemoryUse, ...]:
    """What the program takes of each target's memory.

    Raises
    ------
    CapacityError
        A target cannot hold it: need and limit, the largest part, and about what would fit.
    """
    held = state_bytes(program)
    synapses = sum(p.synapses for p in program.projections.values())
    for target in targets:  # before anything large is built
        _fit(program, target, "program memory", synapses, target.image_max, at_least=True)
        _fit(program, target, "working memory", held, target.arena_max, at_least=True)
    size = len(program.image)
    arena = arena_bytes(program.image)
    for target in targets:
        _fit(program, target, "program memory", size, target.image_max)
        _fit(program, target, "working memory", arena or held, target.arena_max, at_least=arena is None)
    return tuple(MemoryUse(t.name, size, t.image_max, arena, t.arena_max) for t in targets)


def _fit(program: Program, target: Target, what: str, need: int, limit: int, *, at_least: bool = False) -> None:
    if not limit or need <= limit or target.numbers != "integer":
        return
    largest = max(program.projections.values(), key=lambda p: p.synapses, default=None)
    hint = "use fewer neurons"
    if largest is not None:
        hint = (
            f"the largest projection is {largest.name!r} with {largest.synapses} synapses; about "
            f"{limit / need:.0%} of the network would fit"
        )
    raise CapacityError(
        f"target {target.name!r} cannot hold {program.name!r}: {what} needs "
        f"{'at least ' if at_least else ''}{need} bytes, limit {limit}; {hint}"
    )


@dataclass(frozen=True)
class Place(Pass):
    """Fill in `State.memory` and `State.sections`."""

    name: ClassVar[str] = "place"

    def run(self, state: State) -> State:
        """Measure the draft and compare it with every target."""
        if state.program is None:
            raise ValueError("place runs after legalise")
        memory = check_capacity(state.program, state.targets)
        sections = tuple(target.place(state.program) for target in state.targets if target.place is not None)
        return replace(state, memory=memory, sections=sections)
