"""What the package offers to `neuromorph.targets`."""

from __future__ import annotations

from neuromorph.engine import Target
from neuromorph.worker.environment import Environment
from neuromorph.worker.peer import PeerBackend

__all__ = ["ENVIRONMENT", "NengoBackend"]

ENVIRONMENT = Environment(
    name="nengo-loihi",
    python="3.10",
    requirements=("nengo-loihi==1.1.0", "nengo>=3.1", "numpy<2"),
    check="from nengo_loihi.emulator.interface import EmulatorInterface",
    versions=("nengo-loihi", "nengo", "numpy"),
)
HELD = frozenset({"plastic", "shared_rounding", "synapse_rounding", "sparse", "refractory", "tags", "schedule"})


class NengoBackend(PeerBackend):
    """`loihi:nengo`."""

    environment = ENVIRONMENT
    module = "neuromorph_nengo.worker"
    needs = ("neuromorph_cpu",)
    held = (
        Target(
            "loihi:nengo", "emulator", "integer",
            "nengo-loihi's emulator of Loihi 1, block level; learning runs on the host", features=HELD,
        ),
    )  # fmt: skip

    def check(self, image: bytes) -> None:
        """Refuse what the emulator does not hold."""
        from neuromorph.image import decode
        from neuromorph_nengo.holds import check_program

        check_program(decode(image))
