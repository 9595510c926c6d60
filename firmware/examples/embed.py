"""Make a program part of a firmware: ``python firmware/examples/embed.py MODEL.py OUT.h``.

Writes the program's image as a C array `program`, and the numbers of its populations as constants: ``POP_MOTOR`` for a
population named ``motor``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from runpy import run_path

import neuromorph as nm
from neuromorph.image import without_metadata


def header(program: nm.Program) -> str:
    """The text of the header."""
    image = without_metadata(program.image)
    rows = [", ".join(f"0x{byte:02X}" for byte in image[k : k + 16]) for k in range(0, len(image), 16)]
    numbers = [f"    POP_{name.upper()} = {k}," for k, name in enumerate(program.populations)]
    return "\n".join([
        f"/* Program {program.name!r}, written by embed.py. */",
        "#include <stdalign.h>", "#include <stdint.h>", "",
        "enum {", *numbers, "};", "",
        "alignas(8) static const uint8_t program[] = {",
        *(f"    {row}," for row in rows), "};", "",
    ])  # fmt: skip


def main(model: str, output: str) -> None:
    """Compile the model for boards and write it."""
    net = run_path(model)["network"]()
    Path(output).write_text(header(nm.compile(net, target="mcu")), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
