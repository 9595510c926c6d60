"""The use of each core, as a section of the compile report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuromorph.report import Section

if TYPE_CHECKING:
    from neuromorph_loihi.placement import Core, Placement

__all__ = ["use_section"]

COLUMNS = {
    "compartments": "compartments", "input_axons": "in axons", "output_axons": "out axons",
    "synapse_bits": "synapse bits", "memory_bits": "memory bits", "decay_configs": "decay cfgs",
    "threshold_configs": "threshold cfgs", "synapse_formats": "formats", "trace_configs": "trace cfgs",
}  # fmt: skip


def use_section(placement: Placement) -> Section:
    """A row for each core, below the chip's limits."""
    chip, count = placement.chip, len(placement.cores)
    rows: list[tuple[str | int | float, ...]] = [
        ("limit", "", "", "", *(getattr(chip, name).value for name in COLUMNS))
    ]  # fmt: skip
    rows += [_row(number, core) for number, core in enumerate(placement.cores)]
    title = (
        f"Cores: {count} of {chip.chips.value * chip.cores.value}, on {placement.chips} of {chip.chips.value} "
        f"{chip.model} ({chip.board})"
    )
    heads = ("core", "holds", "kind", "synapses", *COLUMNS.values())
    notes = ("The source of each limit, and what is assumed where none is published, is in docs/loihi.md.",)
    return Section(chip.target, title, heads, tuple(rows), notes)


def _row(number: int, core: Core) -> tuple[str | int | float, ...]:
    kind = "learning" if core.learning else "static"
    parts = ", ".join(map(str, core.slices))
    return (number, parts, kind, core.synapses, *(getattr(core, name) for name in COLUMNS))
