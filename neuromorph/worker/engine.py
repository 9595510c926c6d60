"""An `Engine` whose machine lives in a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neuromorph.errors import TargetError
from neuromorph.worker.frames import Message
from neuromorph.worker.process import Worker

__all__ = ["WorkerEngine"]


class WorkerEngine:
    """Passes every call on to a worker.

    A worker that died, hung or broke is ended, and the call raises TargetError; `reset` and `load` start another.

    Parameters
    ----------
    target : str
        Name of the target.
    start : callable
        Starts a worker.
    check : callable, optional
        Refuses an image before a worker is started.
    """

    def __init__(self, target: str, start: Callable[[], Worker], check: Callable[[bytes], None] | None = None) -> None:
        self.target = target
        self._start, self._check = start, check
        self._worker: Worker | None = None
        self._image: bytes | None = None

    @property
    def worker(self) -> Worker:
        """The running worker; TargetError if there is none."""
        if self._worker is None or not self._worker.alive:
            raise TargetError(f"{self.target}: its worker is not running; reset() starts another at step 0")
        return self._worker

    def load(self, image: bytes) -> None:
        """Verify an image and put it at step 0 (see `Engine.load`)."""
        if self._check is not None:
            self._check(image)
        if self._worker is None or not self._worker.alive:
            self._worker = self._start()
        self._call("load", raw=image)
        self._image = image

    def reset(self) -> None:
        """Back to step 0; with another worker where the last one failed."""
        if self._worker is not None and not self._worker.alive and self._image is not None:
            self.load(self._image)
        else:
            self._call("reset")

    def now(self) -> int:
        """The last step done."""
        return int(self._call("now")[0]["value"])

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run (see `Engine.run`)."""
        worker = self.worker
        try:
            worker.send({"call": "run", "steps": steps}, records)
            while True:
                message, raw = worker.receive()
                if message["type"] == "done":
                    return
                if message["type"] == "output":
                    on_output(raw)
                elif on_progress is not None:
                    on_progress(int(message["step"]))
        finally:
            if worker.busy:  # left in the middle of the run
                worker.close()

    def read_item(self, item: int, first: int, count: int) -> bytes:
        """Values of a state item."""
        return self._call("read", item=item, first=first, count=count)[1]

    def write_item(self, item: int, first: int, data: bytes) -> None:
        """Write values of a state item; out of range: refused."""
        self._call("write", data, item=item, first=first)

    def seek(self, step: int) -> None:
        """Set the step counter and the random streams."""
        self._call("seek", step=step)

    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded."""
        return {str(key): int(value) for key, value in self._call("counters")[0]["value"].items()}

    def cpu_seconds(self) -> float:
        """CPU time of the worker so far, with that of the processes that it started and that have ended."""
        return float(self._call("cpu")[0]["value"])

    def versions(self) -> dict[str, str]:
        """What runs in the worker: versions by name."""
        return dict(self._call("versions")[0]["value"])

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()

    def _call(self, name: str, raw: bytes = b"", **arguments: Any) -> tuple[Message, bytes]:
        worker = self.worker
        worker.send({"call": name, **arguments}, raw)
        return worker.receive()
