"""What the firmware of each board takes: printed for all, and held against a stored budget for two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest

pytest.importorskip("unicorn", reason="measuring needs Unicorn: pip install 'neuromorph[mcu]'")
pytest.importorskip("elftools", reason="reading firmware needs pyelftools: pip install 'neuromorph[mcu]'")

from neuromorph_mcu.boards import FIRMWARE

pytestmark = pytest.mark.skipif(
    not (FIRMWARE / "mps2-an386.elf").is_file(), reason="the firmware was not built: make build"
)


def test_no_board_takes_more_than_its_budget(
    measure: ModuleType, record_property: Callable[[str, object], None]
) -> None:
    """After a change that is worth its cost: `python firmware/measure.py --update`."""
    found = measure.measure_all()
    record_property("what the firmware takes, for 16 inputs that learn on 8 cells", measure.table(found))
    assert measure.over_budget(found) == []
    assert found["mps2-an385"].instructions == found["unicorn_m3"].instructions  # one core, one engine
    assert found["microbit"].instructions > found["mps2-an386"].instructions  # an M0 has fewer of them to choose from


def test_what_grows_by_more_than_3_percent_is_named(measure: ModuleType) -> None:
    image, records = measure.workload()
    small = measure.measure(FIRMWARE / "microbit.elf", image, records)
    fat = replace(small, flash=small.flash * 2)
    assert [line.split(" is ")[0] for line in measure.over_budget({"microbit": fat})] == ["microbit: flash"]
    assert measure.over_budget({"microbit": replace(small, flash=1, ram=1, stack=1, instructions=1)}) == []
