"""Firmware as a UF2 file, which boards take as a copy to a USB drive: ``python firmware/uf2.py IN.elf OUT.uf2 FAMILY``.

FAMILY is the number of the chip, whose boot loader refuses others: 0xE48BFF56 for the RP2040 of a Raspberry Pi Pico.
Format: https://github.com/microsoft/uf2. Only the standard library is needed.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = 256
MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
HAS_FAMILY = 0x2000


def segments(elf: bytes) -> Iterator[tuple[int, bytes]]:
    """Address and content of what an ELF32 file puts into flash."""
    table, size, count = struct.unpack_from("<I", elf, 28)[0], *struct.unpack_from("<HH", elf, 42)
    for k in range(count):
        kind, offset, _, address, length = struct.unpack_from("<5I", elf, table + k * size)
        if kind == 1 and length:
            yield address, elf[offset : offset + length]


def uf2(elf: bytes, family: int) -> bytes:
    """Blocks of 512 bytes, each of which writes a page of flash; what of a page is not used is zero."""
    pages: dict[int, bytearray] = {}
    for address, content in segments(elf):
        for at, byte in enumerate(content, address):
            pages.setdefault(at // PAGE, bytearray(PAGE))[at % PAGE] = byte
    blocks = []
    for number, (page, filled) in enumerate(sorted(pages.items())):
        head = struct.pack("<8I", *MAGIC[:2], HAS_FAMILY, page * PAGE, PAGE, number, len(pages), family)
        blocks.append(head + bytes(filled).ljust(476, b"\0") + struct.pack("<I", MAGIC[2]))
    return b"".join(blocks)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    Path(sys.argv[2]).write_bytes(uf2(Path(sys.argv[1]).read_bytes(), int(sys.argv[3], 0)))
