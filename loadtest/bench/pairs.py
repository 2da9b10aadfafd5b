"""Asks two ports in turns, so that what the machine does meanwhile falls on both alike."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

import numpy as np

HOST = "127.0.0.1"
WARM_UP = 300
# Seconds after which a request is taken for lost.
PATIENCE = 30.0


@dataclass(frozen=True)
class Pairs:
    """Milliseconds of each request, by pair: one to either port."""

    base: np.ndarray
    other: np.ndarray

    @property
    def medians(self) -> tuple[float, float]:
        """Of either, in milliseconds."""
        return float(np.median(self.base)), float(np.median(self.other))

    @property
    def difference(self) -> float:
        """The median of what `other` took longer than its pair, in milliseconds."""
        return float(np.median(self.other - self.base))

    @property
    def ratio(self) -> float:
        """The median of `other` over that of `base`."""
        base, other = self.medians
        return other / base


def ask_in_turns(base: int, other: int, request: bytes, pairs: int) -> Pairs:
    """One client with a kept connection to each port; every second pair begins with `other`.

    Raises OSError when an answer does not come, ValueError when one is no 200.
    """
    taken = np.empty((WARM_UP + pairs, 2))
    with _Kept(base) as first, _Kept(other) as second:
        for number in range(WARM_UP + pairs):
            order = ((0, first), (1, second)) if number % 2 else ((1, second), (0, first))
            for column, connection in order:
                taken[number, column] = connection.milliseconds(request)
    measured = taken[WARM_UP:]
    return Pairs(measured[:, 0], measured[:, 1])


class _Kept:
    """A connection that is opened anew where the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = self._open()

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def milliseconds(self, request: bytes) -> float:
        began = time.perf_counter()
        self._socket.sendall(request)
        head, length = self._head()
        taken = (time.perf_counter() - began) * 1000
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head.decode("latin-1"))
        if b"connection: close" in head.lower() or length < 0:
            self._socket.close()
            self._socket = self._open()
        return taken

    def _open(self) -> socket.socket:
        made = socket.create_connection((HOST, self._port), PATIENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _head(self) -> tuple[bytes, int]:
        """The head of an answer, once its body is there too; its length, -1 if it was not told."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        told = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(told[0].partition(b":")[2]) if told else -1
        while len(body) < length:
            body += self._more()
        return head, length

    def _more(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("closed before the whole answer")
        return part
