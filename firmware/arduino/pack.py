"""Put the Arduino library together: ``python firmware/arduino/pack.py [FOLDER]`` (default ``build/arduino``).

Writes ``FOLDER/Neuromorph`` (to be copied into the libraries folder of Arduino) and ``FOLDER/Neuromorph.zip`` (for
Sketch > Include Library > Add .ZIP Library).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
HOST_ONLY = ("host.c",)


def pack(folder: Path) -> Path:
    """Write the library into a folder; return the library's own folder."""
    library = folder / "Neuromorph"
    shutil.rmtree(library, ignore_errors=True)
    shutil.copytree(HERE, library, ignore=shutil.ignore_patterns("pack.py", "__pycache__"))
    for path in sorted((HERE.parent / "core").glob("*.[ch]")):
        if path.name not in HOST_ONLY:
            shutil.copy(path, library / "src")
    program = library / "examples" / "Reflex" / "reflex.h"
    subprocess.run([sys.executable, EXAMPLES / "embed.py", EXAMPLES / "reflex" / "network.py", program], check=True)
    shutil.make_archive(str(library), "zip", folder, "Neuromorph")
    return library


if __name__ == "__main__":
    default = HERE.parent.parent / "build" / "arduino"
    print(pack(Path(sys.argv[1]) if len(sys.argv) > 1 else default))
