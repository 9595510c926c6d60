"""What the package offers to `neuromorph.targets`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from neuromorph.engine import Engine, Target
from neuromorph.errors import TargetError
from neuromorph.image import FEATURES
from neuromorph.report import Section
from neuromorph.worker.environment import Environment
from neuromorph.worker.peer import PeerBackend

if TYPE_CHECKING:
    from neuromorph.program import Program

__all__ = ["ENVIRONMENT", "NengoBackend"]

ENVIRONMENT = Environment(
    name="nengo-loihi",
    python="3.10",
    requirements=("nengo-loihi==1.1.0", "nengo>=3.1", "numpy<2"),
    check="from nengo_loihi.emulator.interface import EmulatorInterface",
    versions=("nengo-loihi", "nengo", "numpy"),
)
HELD = frozenset({
    "plastic", "shared_rounding", "synapse_rounding", "sparse", "refractory", "tags", "schedule", "modulators",
    "extended_factors", "resource_sums",
})  # fmt: skip


def _place(program: Program) -> Section:
    """For the report: which projections the emulator does not learn itself."""
    rows = tuple((p.name, p.synapses, "on the host") for p in program.projections.values() if p.rule is not None)
    note = (
        "The emulator has none of these rules: our learning engine runs beside it, on the host, and writes its weights "
        "between steps."
    )
    return Section("loihi:nengo", "Learning", ("projection", "synapses", "learns"), rows, (note,) if rows else ())


CORE = Target(
    "nengo", "simulator", "float", "the network on NengoCore in float64; docs/peers.md says what differs",
    features=frozenset(FEATURES) - {"extended_factors", "resource_sums", "short_term", "threshold_drift"},
)  # fmt: skip


class NengoBackend(PeerBackend):
    """`loihi:nengo` in a worker, `nengo` in this process."""

    environment = ENVIRONMENT
    module = "neuromorph_nengo.worker"
    needs = ("neuromorph_cpu",)
    held = (
        Target(
            "loihi:nengo", "emulator", "integer",
            "nengo-loihi's emulator of Loihi 1, block level; learning runs on the host", features=HELD,
            input_max=(1 << 21) - 1, place=_place,
        ),
        CORE,
    )  # fmt: skip

    def environment_of(self, target: Target) -> Environment | None:
        """That of nengo-loihi; NengoCore runs in this process."""
        return None if target is CORE else self.environment

    def available(self, target: Target) -> str:
        """Empty, or what to install."""
        if target is not CORE:
            return super().available(target)
        return "" if self.versions(target) else "nengo is not installed: run `pip install 'neuromorph[nengo]'`"

    def versions(self, target: Target) -> dict[str, str]:
        """What is installed."""
        if target is not CORE:
            return super().versions(target)
        try:
            return {"nengo": version("nengo")}
        except PackageNotFoundError:
            return {}

    def open(self, target: Target) -> Engine:
        """An engine; of `loihi:nengo` its worker starts with the first program."""
        if target is not CORE:
            return super().open(target)
        missing = self.available(target)
        if missing:
            raise TargetError(f"nengo: {missing}")
        from neuromorph_cpu.float_target import FloatTarget
        from neuromorph_nengo.core import NengoEngine

        return FloatTarget(NengoEngine())

    def check(self, program: Program) -> None:
        """Refuse what the emulator does not hold."""
        from neuromorph_nengo.holds import check_program

        check_program(program)
