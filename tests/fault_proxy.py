"""A TCP proxy on 127.0.0.1 that breaks connections in one chosen way: pass, refuse, silent, …"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from urllib.parse import urlsplit

CUT_AFTER = 600
# Bytes of a request: more than its head.
CUT_UPLOAD_AFTER = 20_000
TRICKLE = 1 << 13
# Bytes at a time and a second.
_PACES = {"slow": (1024, 1024), "trickle": (TRICKLE, 1 << 16)}


class FaultProxy:
    """Between a client and `target`; what breaks is said by `mode`.

    pass; refuse (nobody listens); silent (accepts, never answers); reset (RST after some bytes of
    the answer); cut (end of file there); slow (a KiB a second); upload (RST within a long request);
    trickle (takes 64 KiB of a request a second).
    """

    def __init__(self, target: str, mode: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 0)
        self.mode = mode
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        if mode in ("silent", "trickle"):
            # Else the kernel takes megabytes in this server's place.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TRICKLE)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> FaultProxy:
        if self.mode == "refuse":
            self._listener.close()
        else:
            self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        for connection in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            if self.mode != "silent":
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        upstream = socket.create_connection(self._target, timeout=10)
        self._sockets.append(upstream)
        self._spawn(
            self._pump, client, upstream, self.mode in ("upload", "trickle"), CUT_UPLOAD_AFTER
        )
        faulty = self.mode in ("reset", "cut", "slow")
        self._spawn(self._pump, upstream, client, faulty, CUT_AFTER)

    def _pump(self, source: socket.socket, sink: socket.socket, faulty: bool, limit: int) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            size, a_second = _PACES.get(self.mode, (1024, 0)) if faulty else (65536, 0)
            while data := source.recv(size):
                if a_second and self._closing.wait(len(data) / a_second):
                    return
                sink.sendall(data)
                sent += len(data)
                if faulty and not a_second and sent > limit:
                    self._break(source, sink)
                    return
            sink.shutdown(socket.SHUT_WR)

    def _break(self, source: socket.socket, sink: socket.socket) -> None:
        if self.mode in ("reset", "upload"):
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for connection in (sink, source):
            # Another thread still reads from it: only a shutdown ends the connection itself.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
