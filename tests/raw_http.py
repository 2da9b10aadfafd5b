"""A client that sends exactly the bytes it is given, for requests that no library would send."""

from __future__ import annotations

import json
import select
import socket
import time
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"


@dataclass(frozen=True)
class RawAnswer:
    """What came back: `status` 0 means that the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    interim: tuple[int, ...] = ()

    def json(self) -> Any:
        return json.loads(self.body)


CLOSED = RawAnswer(0, {}, b"")


def post(
    body: bytes, *headers: str, path: str = "/predict", media: str = "application/json"
) -> bytes:
    """The bytes of a sound POST around a body."""
    lines = [f"POST {path} HTTP/1.1", "Host: test"]
    if media:
        lines.append(f"Content-Type: {media}")
    lines += [f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(body: bytes, size: int = 65536) -> bytes:
    """A body in chunks, with the one that ends it."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def exchange(port: int, request: bytes, *, end: bool = False, seconds: float = 10.0) -> RawAnswer:
    """Send the bytes and read one answer; `end` closes our half after the last byte.

    Reads while it sends: a server may answer before it has taken everything.
    """
    deadline = time.monotonic() + seconds
    with socket.create_connection((HOST, port), timeout=seconds) as connection:
        connection.setblocking(False)
        left, received = memoryview(request), b""
        while (answer := _parse(received)) is None:
            wait = deadline - time.monotonic()
            assert wait > 0, "no whole answer came in time"
            readable, writable, _ = select.select(
                [connection], [connection] if left else [], [], wait
            )
            if readable:
                try:
                    part = connection.recv(65536)
                except ConnectionError:
                    part = b""
                if not part:
                    return _parse(received, ended=True) or CLOSED
                received += part
            elif writable:
                try:
                    left = left[connection.send(left[:65536]) :]
                except ConnectionError:
                    # The server has heard enough; its answer may be there already.
                    left = memoryview(b"")
                if not left and end:
                    connection.shutdown(socket.SHUT_WR)
        return answer


def _parse(received: bytes, *, ended: bool = False) -> RawAnswer | None:
    interim: list[int] = []
    while True:
        head, found, rest = received.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status >= 200:
            break
        interim.append(status)
        received = rest
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    length = int(headers.get("content-length", "-1"))
    if length < 0 and not ended:
        return None
    if length >= 0 and len(rest) < length and not ended:
        # Only to HEAD an answer is shorter than it says; such tests ask with `Connection: close`.
        return None
    body = rest if length < 0 else rest[:length]
    return RawAnswer(status, headers, body, tuple(interim))
