"""Lava's fixed-point models as targets: `loihi:lava` in its own runtime, `loihi:lava-fast` driven in process.

`backend` and `holds` run beside the user's code; all other modules run in a worker, where Lava is installed.
"""

from neuromorph_lava.backend import LavaBackend

__all__ = ["backend"]

backend = LavaBackend()
