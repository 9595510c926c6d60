"""The targets `cpu` (C engine in process), `cpu:ref` (executable specification) and `cpu:float` (ideal model)."""

from __future__ import annotations

from neuromorph_cpu.backend import CpuBackend

__all__ = ["CpuBackend", "backend"]

backend = CpuBackend()
