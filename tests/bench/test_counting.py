"""Which of a board's functions are the engine's: those that a host's pace cannot change."""

from __future__ import annotations

import pytest

from neuromorph.bench.counting import of_the_engine

ENGINE = ["nm_step", "nm_deliver", "nm_update", "nm_learn_separable", "nm_run_lanes", "row_u8", "add_product"]
PROTOCOL = [
    "nm_main", "nm_now", "nm_run", "nm_feed", "nm_record_bound", "nm_link_receive", "nm_cobs_decode", "nm_crc32c",
    "nm_app_poll", "nm_port_read", "on_input", "on_sequenced", "report", "answer", "emit", "memcpy", "__aeabi_memcpy4",
]  # fmt: skip


@pytest.mark.parametrize("name", ENGINE)
def test_work_of_a_step_counts(name: str) -> None:
    assert of_the_engine({name: 7, "emit": 1}) == 7


@pytest.mark.parametrize("name", PROTOCOL)
def test_what_serves_the_line_does_not(name: str) -> None:
    assert of_the_engine({name: 7, "nm_step": 1}) == 1
