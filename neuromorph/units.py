"""SI constants: write ``20 * ms``; all times in the API are seconds, all rates hertz."""

from __future__ import annotations

__all__ = ["Hz", "kHz", "minute", "ms", "ns", "s", "us"]

s = 1.0
ms = 1e-3
us = 1e-6
ns = 1e-9
minute = 60.0
Hz = 1.0
kHz = 1e3
