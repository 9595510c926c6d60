"""The C engine with a program that was placed on the chip first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from neuromorph.errors import TargetError
from neuromorph.image import decode
from neuromorph.passes.legalise import check_features
from neuromorph.records import decode_records
from neuromorph_cpu.native import NativeEngine, verify
from neuromorph_loihi.energy import estimate_placed
from neuromorph_loihi.placement import Placement, place

if TYPE_CHECKING:
    from neuromorph.engine import Target
    from neuromorph.report import Section
    from neuromorph_loihi.chips import Chip

__all__ = ["LoihiEngine"]


class LoihiEngine(NativeEngine):
    """The integers of ``docs/semantics.md`` under the limits of a chip; see `Engine`.

    Parameters
    ----------
    target : Target
        Its name and features.
    chip : Chip
        Its limits.
    """

    def __init__(self, target: Target, chip: Chip) -> None:
        super().__init__(target.name)
        self._target, self._chip = target, chip
        self._placement: Placement | None = None
        self._input_spikes = 0

    @property
    def placement(self) -> Placement:
        """The program on the chip: cores and what they use."""
        if self._placement is None:
            raise TargetError(f"{self.target}: no program is loaded")
        return self._placement

    def load(self, image: bytes) -> None:
        """Verify and place an image, then start it (see `Engine.load`).

        Raises
        ------
        ImageError
            It is broken.
        UnsupportedError, CapacityError
            The chip cannot hold it; the program that ran before is still there.
        """
        verify(image, self._lib)
        program = decode(image)
        check_features(program, self._target)
        placement = place(program, self._chip)
        super().load(image)
        self._placement, self._input_spikes = placement, 0

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run (see `Engine.run`)."""
        super().run(steps, records, on_output, on_progress)
        self._input_spikes += int(decode_records(records).count.sum())

    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded; `input_spikes` is the part of the spikes that inputs sent."""
        return super().counters() | {"input_spikes": self._input_spikes}

    def account(self, counters: dict[str, int], steps: int) -> Section:
        """Estimated energy and time of a run on the chip (see `Accounting`)."""
        return estimate_placed(self.placement, counters, steps).section()
