"""What each board's firmware takes: flash, RAM, stack, and instructions for a step of a fixed program.

``python firmware/measure.py`` prints a table of all boards that are built. ``--check`` compares with the stored budget
(``firmware/budget.toml``) and ends with status 1 where something has grown by more than 3 %; ``--update`` stores anew.

The engine of a board's firmware is called in Unicorn, function by function, without the board around it, so that every
core can be measured, and counts are exact and the same everywhere. Flash and RAM come from the ELF file; of the
firmware as a program (on x86-64) these are all: code with data, and variables without the pool. Arduino's sketches are
measured by ``tests/mcu/test_arduino.py``, by avr-size; their budget is in the same file.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

import neuromorph as nm
from neuromorph.image import without_metadata
from neuromorph.plasticity import STDP, ThresholdAdaptation
from neuromorph.stimulus import Stimulus
from neuromorph.units import ms
from neuromorph_mcu.boards import FIRMWARE
from neuromorph_mcu.firmware import Firmware

unicorn: Any = import_module("unicorn")
arm: Any = import_module("unicorn.arm_const")
riscv: Any = import_module("unicorn.riscv_const")

BUDGET = Path(__file__).parent / "budget.toml"
BUDGETED = ("mps2-an386", "microbit", "posix")
GROWTH = 1.03
POOL = "pool"
"""The variable of the firmware as a program that is the memory for users' programs."""
STEPS = 200
WORK, WORK_SIZE = 0x60000000, 1 << 20
STOP = WORK + 0x1000
ARGUMENTS, IMAGE, INPUT, ARENA, OUTPUT, OUTPUT_SIZE, STACK = (
    WORK + at for at in (0x2000, 0x4000, 0x10000, 0x20000, 0x40000, 0x40000, 0xF0000)
)
STACK_SIZE = 0x8000
PAINT = 0xA5


@dataclass(frozen=True, slots=True)
class Figures:
    """What a board's firmware takes; all in bytes but instructions, which are per step. 0: not measured."""

    flash: int
    ram: int
    stack: int = 0
    instructions: int = 0


def workload() -> tuple[bytes, bytes]:
    """Image and input records of the program: 16 inputs learn on 8 adaptive cells, which inhibit each other."""
    net = nm.Network(name="budget", dt=1 * ms, seed=1)
    source = net.input(16, name="source")
    adaptation = ThresholdAdaptation(increment=0.05, tau=1.0)
    lif = nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=3 * ms, homeostasis=adaptation)
    cells = net.population(8, lif, name="cells")
    rule = STDP(a_plus=0.02, a_minus=0.02, tau_plus=20 * ms, tau_minus=20 * ms, w_max=1.0)
    net.connect(source, cells, weights=0.4, plasticity=rule, delay=2 * ms, name="learned")
    net.connect(cells, cells, weights=-0.5, topology=nm.AllToAll(self_loops=False), name="inhibition")
    net.probe(cells, "spikes")
    program = nm.compile(net, target="mcu")
    count = 8 * STEPS // 2
    steps = np.sort(np.arange(count) * 7919 % STEPS + 1)
    spikes = np.unique(np.stack([steps, np.arange(count) * 31 % 16], axis=1), axis=0)
    records = Stimulus.of(program, {"source": nm.SpikeTrain(spikes[:, 0], spikes[:, 1])}, STEPS)
    return without_metadata(program.image), records.records(1, STEPS)


class Core:
    """The processor of a firmware, with a megabyte of RAM to work in."""

    def __init__(self, firmware: Firmware, *, is_riscv: bool) -> None:
        self.firmware, self.is_riscv = firmware, is_riscv
        self.uc: Any
        if is_riscv:
            self.uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
            self.arguments = [getattr(riscv, f"UC_RISCV_REG_A{k}") for k in range(8)]
            self.sp, self.link = riscv.UC_RISCV_REG_SP, riscv.UC_RISCV_REG_RA
        else:
            self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
            self.uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M33)
            self.arguments = [getattr(arm, f"UC_ARM_REG_R{k}") for k in range(4)]
            self.sp, self.link = arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR
        spans = [range(at >> 12, (at + len(content) + 0xFFF) >> 12) for at, content in firmware.segments]
        for page in {page for span in spans for page in span}:  # two segments may share one
            self.uc.mem_map(page << 12, 1 << 12)
        for address, content in firmware.segments:
            self.uc.mem_write(address, content)
        self.uc.mem_map(WORK, WORK_SIZE)
        self.uc.mem_write(STACK - STACK_SIZE, bytes([PAINT]) * STACK_SIZE)
        self.blocks: Counter[tuple[int, int]] = Counter()
        self.uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)

    def _on_block(self, _uc: Any, address: int, size: int, _data: Any) -> None:
        self.blocks[address, size] += 1

    def call(self, name: str, *arguments: int) -> int:
        """Call a function of the firmware; return its result."""
        entry = next(address for address, _, known in self.firmware.functions if known == name)
        rest = arguments[len(self.arguments) :]
        stack = STACK - 64
        self.uc.mem_write(stack, struct.pack(f"<{len(rest)}I", *rest))
        for register, value in zip(self.arguments, arguments, strict=False):
            self.uc.reg_write(register, value)
        thumb = 0 if self.is_riscv else 1
        self.uc.reg_write(self.sp, stack)
        self.uc.reg_write(self.link, STOP | thumb)
        self.uc.emu_start(entry | thumb, STOP)
        result = int(self.uc.reg_read(self.arguments[0]))
        return result - (1 << 32) if result >> 31 else result

    def u32(self, address: int) -> int:
        """A word of memory."""
        return int(struct.unpack("<I", self.uc.mem_read(address, 4))[0])

    def instructions(self) -> int:
        """How many ran since the last look."""
        total = sum(times * self._length(*block) for block, times in self.blocks.items())
        self.blocks.clear()
        return total

    def _length(self, address: int, size: int) -> int:
        halves = struct.unpack(f"<{size // 2}H", self.uc.mem_read(address, size))
        at = count = 0
        while at < len(halves):
            long = halves[at] & 3 == 3 if self.is_riscv else halves[at] >> 11 >= 0b11101
            at += 2 if long else 1
            count += 1
        return count

    def stack_used(self) -> int:
        """Bytes of stack that the calls needed at most."""
        content = bytes(self.uc.mem_read(STACK - STACK_SIZE, STACK_SIZE))
        untouched = len(content) - len(content.lstrip(bytes([PAINT])))
        return STACK_SIZE - untouched - 64


def measure(elf: Path, image: bytes, records: bytes) -> Figures:
    """Run the program on the engine of a firmware."""
    firmware = Firmware.load(elf)
    core = Core(firmware, is_riscv=elf.read_bytes()[18] == 243)
    core.uc.mem_write(IMAGE, image)
    core.uc.mem_write(INPUT, records)
    report, engine, used, made = (ARGUMENTS + at for at in (0, 16, 20, 24))
    if core.call("nm_verify", IMAGE, len(image), 0, report) < 0:
        raise SystemExit(f"{elf.name}: the image is refused")
    arena = core.u32(report + 8)
    if core.call("nm_init", engine, IMAGE, len(image), ARENA, arena) < 0:
        raise SystemExit(f"{elf.name}: no start")
    core.instructions()
    size = WORK_SIZE - 0x50000
    done = core.call("nm_run", core.u32(engine), STEPS, INPUT, len(records), used, OUTPUT, size, made)
    if done != STEPS or core.u32(used) != len(records) or not core.u32(made):
        raise SystemExit(f"{elf.name}: {done} of {STEPS} steps")
    flash = sum(len(content) for _, content in firmware.segments)
    return Figures(flash, ram_of(elf), core.stack_used(), core.instructions() // STEPS)


def ram_of(elf: Path) -> int:
    """Bytes of RAM that the firmware's variables take."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        writable = [s for s in ELFFile(file).iter_sections() if s["sh_flags"] & 3 == 3]
        return sum(int(s["sh_size"]) for s in writable)


def measure_program(path: Path) -> Figures | None:
    """The firmware as a program; None where it is for another kind of computer."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != "EM_X86_64":
                return None
            loaded = [int(s["p_filesz"]) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
            table = elf.get_section_by_name(".symtab")
            pool = [int(s["st_size"]) for s in table.get_symbol_by_name(POOL) or ()] if table else []
            return Figures(sum(loaded), ram_of(path) - sum(pool)) if pool else None
    except (ELFError, OSError):
        return None


def measure_all() -> dict[str, Figures]:
    """All boards that are built, by name."""
    image, records = workload()
    found = {elf.stem: measure(elf, image, records) for elf in sorted(FIRMWARE.glob("*.elf"))}
    program = measure_program(FIRMWARE / "posix")
    return found if program is None else {**found, "posix": program}


def table(found: dict[str, Figures]) -> str:
    """The figures of all boards, to be read."""
    rows = [f"{'board':<16}{'flash B':>9}{'RAM B':>9}{'stack B':>9}{'instructions per step':>23}"]
    rows += [
        f"{name:<16}{f.flash:>9}{f.ram:>9}{f.stack or '-':>9}{f.instructions or '-':>23}" for name, f in found.items()
    ]
    return "\n".join(rows)


def over_budget(found: dict[str, Figures]) -> list[str]:
    """What has grown too much, one line each."""
    stored = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
    return [
        f"{name}: {what} is {now}, over 3 % above its budget of {most}"
        for name, budget in stored.items()
        if name in found
        for what, most in budget.items()
        if (now := asdict(found[name])[what]) > most * GROWTH
    ]


def store(found: dict[str, Figures]) -> None:
    """Write the budget; what was not measured stays."""
    stored = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
    stored |= {name: {k: v for k, v in asdict(found[name]).items() if v} for name in BUDGETED if name in found}
    lines = ["# What the firmware may take, 3 % more at most: written by `python firmware/measure.py --update`."]
    for name, budget in stored.items():
        lines += ["", f"[{name}]", *(f"{what} = {value}" for what, value in budget.items())]
    BUDGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description="What each board's firmware takes.")
    parser.add_argument("--check", action="store_true", help="fail where a budgeted figure has grown by over 3 %%")
    parser.add_argument("--update", action="store_true", help="store the figures as the new budget")
    options = parser.parse_args()
    found = measure_all()
    print(table(found))
    if options.update:
        store(found)
    complaints = over_budget(found) if options.check else []
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
