"""A backend whose targets run in workers with an environment of their own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from neuromorph.engine import Engine, Target
from neuromorph.errors import TargetError
from neuromorph.worker.engine import WorkerEngine
from neuromorph.worker.environment import Environment
from neuromorph.worker.process import Worker

if TYPE_CHECKING:
    from neuromorph.program import Program

__all__ = ["PeerBackend"]


class PeerBackend:
    """Common part of the peers' backends.

    Attributes
    ----------
    environment : Environment
        Where the peer is installed.
    module : str
        What the worker runs.
    held : tuple of Target
        The targets.
    needs : tuple of str
        Packages that the worker imports besides the backend's own.
    """

    environment: ClassVar[Environment]
    module: ClassVar[str]
    held: ClassVar[tuple[Target, ...]]
    needs: ClassVar[tuple[str, ...]] = ()

    def targets(self) -> tuple[Target, ...]:
        """All targets."""
        return self.held

    def find(self, name: str) -> Target | None:
        """The target of that name."""
        return next((t for t in self.held if t.name == name), None)

    def environment_of(self, target: Target) -> Environment | None:  # noqa: ARG002
        """Where a target is installed; None if it runs in this process."""
        return self.environment

    def available(self, target: Target) -> str:
        """Empty, or how to install the peer."""
        return "" if self.environment.found() else self._missing(target)

    def versions(self, target: Target) -> dict[str, str]:  # noqa: ARG002
        """What is installed, by name; empty if nothing is."""
        found = self.environment.found()
        return {} if found is None else found.versions

    def _missing(self, target: Target) -> str:
        packages = " and ".join(self.environment.requirements)
        return (
            f"{packages} for Python {self.environment.python} are not installed: run "
            f"`neuromorph targets install {target.name}`"
        )

    def options(self, target: Target) -> dict[str, Any]:  # noqa: ARG002
        """Options of the worker for a target."""
        return {}

    def check(self, program: Program) -> None:
        """Raise UnsupportedError for what the peer does not hold, before anything is started."""

    def open(self, target: Target) -> Engine:
        """An engine; its worker starts with the first program."""
        found = self.environment.found()
        if found is None:
            raise TargetError(f"{target.name}: {self._missing(target)}")
        own = type(self).__module__.partition(".")[0]
        packages = {name: str(_folder(name)) for name in ("neuromorph", own, *self.needs)}
        python = found.python

        def check(image: bytes) -> None:
            from neuromorph.image import decode
            from neuromorph.passes.legalise import check_features

            program = decode(image)
            check_features(program, target)
            self.check(program)

        def start() -> Worker:
            return Worker(target.name, python, self.module, packages, self.options(target))

        return WorkerEngine(target.name, start, check)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise TargetError(f"the package {package} has no folder; reinstall neuromorph")
    return Path(spec.origin).parent
