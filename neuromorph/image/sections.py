"""Header, checksums and section table of an image: rules R1 to R5 of the verifier, and sizes (R6)."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from neuromorph.crc import crc32c
from neuromorph.errors import ImageError
from neuromorph.image.layout import (
    DEMANDS,
    ENTRY,
    FEATURES,
    GROWING,
    HEADER,
    MAGIC,
    MAJOR,
    SECTIONS,
    SEMANTICS,
    STRIDE_MAX,
)
from neuromorph.profiles import PROFILES
from neuromorph.validate import DEADLINE_MAX

__all__ = ["Section", "sections"]


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the section table and its bytes."""

    kind: int
    flags: int
    offset: int
    count: int
    stride: int
    data: bytes


def sections(image: bytes) -> dict[int, Section]:
    """Check header, checksums and section table of an image and return its sections by type.

    Raises
    ------
    ImageError
        With the verifier's rule (R1..R6) and the offset.
    """
    if len(image) < HEADER or image[:4] != MAGIC:
        raise ImageError("not a neuromorph image: the magic bytes are missing", 1, 0)
    header_len, major, minor, total, count, stride = struct.unpack_from("<HBBIHH", image, 4)
    if major != MAJOR or header_len != HEADER:
        raise ImageError(f"image format {major}.{minor} (header {header_len} B); this version reads {MAJOR}.x", 1, 4)
    if total != len(image):
        raise ImageError(f"image of {len(image)} bytes, its header says {total}: truncated or extended file", 2, 8)
    if struct.unpack_from("<I", image, 156)[0] != crc32c(image[:156]):
        raise ImageError("checksum of the header does not match: the file is damaged", 3, 156)
    if hashlib.blake2s(image[:96] + image[HEADER:]).digest() != image[96:128]:
        raise ImageError("hash of the contents does not match: the file is damaged", 3, 96)
    profile, bits, family, semantics, zero = struct.unpack_from("<IIIHH", image, 16)
    if profile >= len(PROFILES) or bits >> len(FEATURES) or family or semantics != SEMANTICS or zero:
        what = f"profile {profile}, features {bits:#x}, family {family}, semantics {semantics}"
        raise ImageError(f"{what}: made by a newer version", 4, 16)
    if any(image[40:64]) or any(image[128:156]):
        raise ImageError("reserved bytes of the header are not 0: made by a newer version", 4, 40)
    deadline, _ = DEMANDS.unpack_from(image, 32)
    if deadline > DEADLINE_MAX:
        raise ImageError(f"the deadline is {deadline} us, at most {DEADLINE_MAX} us can be asked for", 8, 32)
    if stride != ENTRY.size or not 1 <= count <= 64 or HEADER + count * stride > total:
        raise ImageError(f"section table of {count} entries of {stride} bytes does not fit", 5, 12)
    found: dict[int, Section] = {}
    end = HEADER + count * stride
    digest = hashlib.blake2s()
    for k in range(count):
        at = HEADER + k * stride
        kind, flags, offset, length, used, size, capacity = ENTRY.unpack_from(image, at)
        if offset % 8 or offset < end or length > total - min(offset, total) or kind in found or flags >> 2:
            raise ImageError(f"section {kind} at {offset}, {length} bytes: overlapping, misplaced or twice", 5, at)
        if size * capacity != length or used > capacity or not _stride_fits(kind, size):
            raise ImageError(f"section {kind}: {capacity} x {size} bytes are not {length}", 6, at)
        if kind not in SECTIONS and not flags & 1:
            raise ImageError(f"section type {kind} is unknown and not optional: made by a newer version", 5, at)
        if kind in SECTIONS and bool(flags & 2) != SECTIONS[kind][1]:
            raise ImageError(f"section {kind} must be logical, or must not be", 5, at)
        end = offset + length
        if flags & 2:
            digest.update(ENTRY.pack(kind, flags, 0, length, used, size, capacity) + image[offset:end])
        found[kind] = Section(kind, flags, offset, used, size, image[offset:end])
    if 1 not in found or found[1].count != 1 or 3 not in found or not found[3].count:
        raise ImageError("machine or population section is missing", 5, HEADER)
    if digest.digest() != image[64:96]:
        raise ImageError("the digest is not that of the contents: states would not belong to the program", 3, 64)
    return found


def _stride_fits(kind: int, size: int) -> bool:
    """Records may have grown at their end, pools and tables of numbers may not."""
    if kind not in SECTIONS:
        return True
    need = SECTIONS[kind][0]
    return need <= size <= STRIDE_MAX and (size == need or kind in GROWING)
