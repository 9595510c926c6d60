"""Firmware as a UF2 file, which a Raspberry Pi Pico takes as a copy to its USB drive.

Format: https://github.com/microsoft/uf2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuromorph_mcu.firmware import Firmware

__all__ = ["RP2040", "uf2"]

RP2040 = 0xE48BFF56
"""Family number of the chip; its boot ROM refuses others."""
_PAGE = 256
_MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
_HAS_FAMILY = 0x2000


def uf2(firmware: Firmware, family: int = RP2040) -> bytes:
    """Give the UF2 file of a firmware: blocks of 512 bytes, each of which writes a page of flash.

    Parameters
    ----------
    firmware : Firmware
        What lies in flash; pages that it touches in part are filled with zeros.
    family : int
        Which chips may take it.
    """
    pages: dict[int, bytearray] = {}
    for address, content in firmware.segments:
        for offset, byte in enumerate(content, address):
            pages.setdefault(offset // _PAGE, bytearray(_PAGE))[offset % _PAGE] = byte
    blocks = []
    for number, (page, content) in enumerate(sorted(pages.items())):
        head = struct.pack("<8I", *_MAGIC[:2], _HAS_FAMILY, page * _PAGE, _PAGE, number, len(pages), family)
        blocks.append(head + content.ljust(476, b"\0") + struct.pack("<I", _MAGIC[2]))
    return b"".join(blocks)
