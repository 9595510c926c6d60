from __future__ import annotations

from typing import Any

from lava.proc.lif.models import AbstractPyLifModelFixed

from neuromorph_lava.worker import main

FAULT_STEP = 5
dynamics = AbstractPyLifModelFixed.subthr_dynamics


def broken(self: Any, activation_in: Any) -> None:
    if self.time_step == FAULT_STEP:
        raise TypeError("ufunc 'left_shift' not supported for the input types")
    dynamics(self, activation_in)


if __name__ == "__main__":
    AbstractPyLifModelFixed.subthr_dynamics = broken
    main()
