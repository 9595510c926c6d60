"""The targets `mcu...`: the firmware on an emulated Cortex-M or on a board, behind the framed serial link."""

from __future__ import annotations

from neuromorph_mcu.backend import McuBackend

__all__ = ["McuBackend", "backend"]

backend = McuBackend()
