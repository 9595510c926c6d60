"""Deadlines on boards: who knows its speed refuses what would be too slow, and says how slow."""

from __future__ import annotations

from dataclasses import replace

import pytest

import neuromorph as nm
from neuromorph.passes.cost import CORES, step_us
from neuromorph.program import Program
from neuromorph_mcu.boards import BOARDS, posix_program
from neuromorph_mcu.engine import McuEngine
from tests.mcu.power import network

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")
CORE_OF = {"m0": "cortex-m0+", "m3": "cortex-m3", "m4": "cortex-m4"}
PER_US = 32
"""Instructions per microsecond that the emulated boards stand for."""


@pytest.fixture(scope="module")
def program() -> Program:
    return nm.compile(network(1, cells=12), target="mcu")


@pytest.mark.skipif(not BOARDS["m4"].elf.is_file(), reason="the firmware was not built: run `make build`")
@pytest.mark.parametrize("core", CORE_OF)
def test_an_emulated_board_refuses_a_deadline_that_it_cannot_meet(core: str, program: Program) -> None:
    """With the figure that the compiler has of its core; what ran before goes on."""
    pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    need = step_us(program, CORES[CORE_OF[core]], PER_US)
    engine = McuEngine(f"mcu:{core}", f"nmemu://unicorn_{core}")
    try:
        engine.load(replace(program, deadline_us=need).image)
        assert engine._client.status().step_us == need
        engine.run(3, b"", lambda _: None)
        with pytest.raises(nm.ImageError, match=f"rule R10: its worst step takes about {need} us here") as refused:
            engine.load(replace(program, deadline_us=need - 1).image)
        assert (refused.value.rule, refused.value.offset) == (10, 32)
        assert engine.now() == 3
        engine.load(program.image)
        assert engine._client.status().step_us == need
    finally:
        engine.close()


@pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`")
def test_a_board_that_does_not_know_its_speed_takes_it(program: Program) -> None:
    engine = McuEngine("mcu:posix", "nmposix://")
    try:
        engine.load(replace(program, deadline_us=1).image)
        assert engine._client.status().step_us == 0
    finally:
        engine.close()
