"""The far side: reads requests, drives a machine, answers; says every second that it lives, ends with its parent."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuromorph.errors import NeuromorphError
from neuromorph.stepped import Machine, SteppedEngine
from neuromorph.worker.frames import Message, pack, unpack

__all__ = ["Pipe", "serve"]

_BEAT = 1.0
_BATCH = 1 << 16  # bytes of output that go together


class Pipe:
    """The pipe to the parent: writes are whole messages, of whatever thread; `mark` begins shared memory's names."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        # What a peer prints must not get between messages: it goes where errors go.
        self._in, self._out = os.dup(0), os.dup(1)
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        self._lock = threading.Lock()
        self.requests: queue.SimpleQueue[tuple[Message, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def send(self, message: Message, raw: bytes = b"") -> None:
        """Send a message."""
        data = memoryview(pack(message, raw))
        with self._lock:
            while data:
                data = data[os.write(self._out, data) :]

    def fail(self, error: BaseException) -> None:
        """Send an error, with its own words."""
        text = str(error) if isinstance(error, NeuromorphError) else "".join(traceback.format_exception(error)[-3:])
        self.send({"type": "error", "kind": type(error).__name__, "message": text[-4000:]})

    def _read(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            data = os.read(self._in, count - len(found))
            if not data:
                self._end()
            found += data
        return bytes(found)

    def _end(self) -> None:
        """The parent is gone: so are we, with all that was started here."""
        for path in Path("/dev/shm").glob(f"{self._mark}*"):
            path.unlink(missing_ok=True)
        os.killpg(0, signal.SIGKILL)

    def _listen(self) -> None:
        while True:
            self.requests.put(unpack(self._read))

    def _beat(self) -> None:
        wait = threading.Event()
        while not wait.wait(_BEAT):
            self.send({"type": "alive"})


def serve(pipe: Pipe, machine: Callable[[bytes], Machine], versions: dict[str, str]) -> None:
    """Answer requests for ever.

    Parameters
    ----------
    pipe : Pipe
        Opened before anything slow is imported.
    machine : callable
        Makes a machine at step 0 from an image; raises UnsupportedError for what it does not hold.
    versions : dict
        What runs here.
    """
    engine = SteppedEngine(machine)
    while True:
        message, raw = pipe.requests.get()
        try:
            value, data = _answer(engine, pipe, message, raw, versions)
        except Exception as error:  # whatever a peer raises is reported
            pipe.fail(error)
        else:
            pipe.send({"type": "done", "value": value}, data)


def _answer(
    engine: SteppedEngine, pipe: Pipe, message: Message, raw: bytes, versions: dict[str, str]
) -> tuple[Any, bytes]:
    call = message["call"]
    if call == "run":
        _run(engine, pipe, int(message["steps"]), raw)
    elif call == "read":
        return None, engine.read_item(message["item"], message["first"], message["count"])
    elif call == "write":
        engine.write_item(message["item"], message["first"], raw)
    elif call == "load":
        engine.load(raw)
    elif call == "reset":
        engine.reset()
    elif call == "now":
        return engine.now(), b""
    elif call == "seek":
        engine.seek(message["step"])
    elif call == "counters":
        return engine.counters(), b""
    elif call == "cpu":
        ended = os.times()  # of processes that this one started and that have ended
        return time.process_time() + ended.children_user + ended.children_system, b""
    elif call == "versions":
        return {"python": sys.version.split()[0], **versions}, b""
    else:
        raise ValueError(f"unknown request {call!r}")
    return None, b""


def _run(engine: SteppedEngine, pipe: Pipe, steps: int, records: bytes) -> None:
    waiting = bytearray()

    def output(data: bytes) -> None:
        waiting.extend(data)
        if len(waiting) >= _BATCH:
            flush()

    def flush() -> None:
        if waiting:
            pipe.send({"type": "output"}, bytes(waiting))
            waiting.clear()

    def progress(step: int) -> None:
        pipe.send({"type": "progress", "step": step})

    try:
        engine.run(steps, records, output, progress)
    finally:
        flush()
