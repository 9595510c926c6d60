"""`loihi:nengo`: nengo-loihi's emulator of Loihi 1, driven at block level in integers; `nengo`: NengoCore, in floats.

`backend` and `holds` run beside the user's code, and so do `core` and `neurons` of `nengo`, where Nengo is installed;
`machine` and `worker` run in a worker, where nengo-loihi is.
"""

from neuromorph_nengo.backend import NengoBackend

__all__ = ["backend"]

backend = NengoBackend()
