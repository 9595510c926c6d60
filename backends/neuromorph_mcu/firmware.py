"""What the tools need of a firmware file: its bytes in memory, and which function an address belongs to."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from neuromorph.errors import TargetError

__all__ = ["Firmware"]


@dataclass(frozen=True, slots=True)
class Firmware:
    """A firmware file.

    Parameters
    ----------
    segments : tuple of (int, bytes)
        Address and content of what lies in flash.
    functions : tuple of (int, int, str)
        First address, size in bytes and name, by address.
    """

    segments: tuple[tuple[int, bytes], ...]
    functions: tuple[tuple[int, int, str], ...]

    @classmethod
    def load(cls, path: Path) -> Firmware:
        """Read an ELF file; TargetError if it is missing or none."""
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
        from elftools.elf.sections import SymbolTableSection

        if not path.is_file():
            raise TargetError(
                f"the firmware {path.name} was not built; run `make build` in a checkout, or reinstall neuromorph"
            )
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                segments = tuple(
                    (int(s["p_paddr"]), bytes(s.data()))
                    for s in elf.iter_segments()
                    if s["p_type"] == "PT_LOAD" and s["p_filesz"]
                )
                table = elf.get_section_by_name(".symtab")
                symbols = table.iter_symbols() if isinstance(table, SymbolTableSection) else ()
                functions = {
                    (int(s["st_value"]) & ~1, int(s["st_size"]), s.name)
                    for s in symbols
                    if s["st_info"]["type"] == "STT_FUNC" and s["st_size"]
                }
        except (ELFError, OSError) as error:
            raise TargetError(f"the firmware {path} cannot be read: {error}; run `make build`") from error
        return cls(segments, tuple(sorted(functions)))

    def function(self, address: int) -> str:
        """Name of the function at an address, ``"?"`` if there is none."""
        k = bisect_right(self.functions, (address, 1 << 32, "")) - 1
        if k >= 0:
            start, size, name = self.functions[k]
            if address < start + size:
                return name
        return "?"
