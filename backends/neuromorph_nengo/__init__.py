"""nengo-loihi's emulator of Loihi 1 as the target `loihi:nengo`, driven at block level in integers.

`backend` and `holds` run beside the user's code; the other modules run in a worker, where nengo-loihi is installed.
"""

from neuromorph_nengo.backend import NengoBackend

__all__ = ["backend"]

backend = NengoBackend()
