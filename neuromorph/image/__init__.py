"""The image (.nmi): a Program as bytes and back. ``docs/image.md`` is the specification; names here follow it."""

from neuromorph.image.layout import FEATURES, HEADER, MAGIC, PROBE_CODES
from neuromorph.image.reader import decode
from neuromorph.image.sections import Section, sections
from neuromorph.image.writer import encode, features, without_metadata

__all__ = [
    "FEATURES",
    "HEADER",
    "MAGIC",
    "PROBE_CODES",
    "Section",
    "decode",
    "encode",
    "features",
    "sections",
    "without_metadata",
]
