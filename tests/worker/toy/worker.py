from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import shared_memory
from typing import Any

import numpy as np

from neuromorph.image import decode
from neuromorph.worker.machine import Counters
from neuromorph.worker.server import Pipe, serve
from neuromorph_cpu.ref import Reference

FAULT_STEP = 20


class Toy:
    def __init__(self, image: bytes, fault: str, mark: str) -> None:
        self.program, self.fault, self.mark = decode(image), fault, mark
        self.reset()

    def reset(self) -> None:
        self.machine = Reference(self.program)
        self.counters: dict[str, int] = Counters(self.program)

    @property
    def t(self) -> int:
        return self.machine.t

    def advance(self, steps: int, inputs: Any) -> Any:
        for _ in range(steps):
            if self.t + 1 == FAULT_STEP:
                self.fail()
            self.machine.step(inputs.get(self.t + 1))
            self.counters.update(self.machine.counters)
            yield

    def fail(self) -> None:
        if self.fault == "raise":
            raise ZeroDivisionError("the peer's own words")
        if self.fault == "die":
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)
        if self.fault == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.fault == "litter":  # a process and a segment that nobody cleans up
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", self.mark])
            shared_memory.SharedMemory(f"{self.mark}_left", create=True, size=64)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "wait":
            time.sleep(600)
        if self.fault == "burn":
            burn = "import time\nwhile time.process_time() < 0.2: pass"
            subprocess.run([sys.executable, "-c", burn], check=True)
            until = time.process_time() + 0.2
            while time.process_time() < until:
                pass
        if self.fault == "chat":
            os.write(1, b"printed by the peer\n" * 1000)

    def spikes(self, population: str) -> Any:
        return self.machine.spikes[population].payload

    def value(self, item: Any) -> Any:
        return self.machine.state[item.object, item.variable]

    def assign(self, item: Any, values: Any) -> None:
        self.machine.state[item.object, item.variable] = np.array(values)

    def seek(self, step: int) -> None:
        self.machine.t = step


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    serve(Pipe(options["mark"]), lambda image: Toy(image, options["fault"], options["mark"]), {"toy": "1"})
