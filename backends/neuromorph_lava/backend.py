"""What the package offers to `neuromorph.targets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuromorph.engine import Target
from neuromorph.worker.environment import Environment
from neuromorph.worker.peer import PeerBackend

if TYPE_CHECKING:
    from neuromorph.program import Program

__all__ = ["ENVIRONMENT", "LavaBackend"]

ENVIRONMENT = Environment(
    name="lava",
    python="3.10",
    requirements=("lava-nc==0.10.0", "numpy<2"),
    check="from lava.proc.lif.process import LIF; from lava.magma.core.run_configs import Loihi2SimCfg",
    versions=("lava-nc", "numpy"),
)
_HELD = frozenset({
    "plastic", "shared_rounding", "graded", "delays", "sparse", "adaptive_threshold", "refractory", "ternary",
    "scheduled_reset", "tags", "schedule", "modulators", "threshold_drift",
})  # fmt: skip


class LavaBackend(PeerBackend):
    """`loihi:lava` and `loihi:lava-fast`."""

    environment = ENVIRONMENT
    module = "neuromorph_lava.worker"
    held = (
        Target("loihi:lava", "emulator", "integer", "Lava's fixed-point models in Lava's runtime", features=_HELD),
        Target("loihi:lava-fast", "emulator", "integer", "Lava's fixed-point models in one process", features=_HELD),
    )

    def options(self, target: Target) -> dict[str, Any]:
        """The mode."""
        return {"mode": "fast" if target.name == "loihi:lava-fast" else "runtime"}

    def check(self, program: Program) -> None:
        """Refuse what Lava does not hold."""
        from neuromorph_lava.holds import check_program

        check_program(program)
