"""An emulated board behind a TCP port, as a stand-in for a real one.

    python examples/serve_board.py 5555 &
    neuromorph compare tutorial --targets cpu,mcu:socket://127.0.0.1:5555

Port 0 takes any free one. Ends when nobody has connected for a minute.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

from neuromorph_mcu.ports import open_port

PATIENCE = 60  # seconds


def serve(line: socket.socket, board: Any) -> None:
    """Carry bytes both ways, and let the board's clock follow ours."""
    line.settimeout(0.001)
    before = time.monotonic()
    while True:
        try:
            data = line.recv(4096)
            if not data:
                return
            board.write(data)
        except TimeoutError:
            pass
        except ConnectionError:
            return
        now = time.monotonic()
        board.timeout, before = now - before, now
        line.sendall(board.read(4096))


def main(port: int) -> None:
    """Serve one host after the other."""
    board = open_port("nmemu://unicorn_m4")
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(PATIENCE)
        print(f"mcu:socket://127.0.0.1:{server.getsockname()[1]}", flush=True)
        while True:
            try:
                line, _ = server.accept()
            except TimeoutError:
                return
            with line:
                serve(line, board)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5555)
