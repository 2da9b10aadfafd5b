"""A small HTTP server that plays a slot's pod and misbehaves on request; a process of its own.

Run as a script it prints its port. `POST /stub` with {"mode": …, "value": …} sets how it answers
from now on, `GET /stub` tells what it was asked. Only the standard library, so it starts at once.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
from typing import Any

GARBAGE = b"\x00\x01SSH-2.0 this is no HTTP\r\n\r\n"


class Pod:
    """What all connections share: the mode, and what was asked."""

    def __init__(self, slot: str) -> None:
        self.slot = slot
        self.mode, self.value = "ok", 0.0
        self.seen: collections.Counter[str] = collections.Counter()
        self.last: dict[str, str] = {}

    def tell(self) -> bytes:
        return _answer(200, {"seen": self.seen, "last": self.last})

    def turn(self, body: bytes) -> bytes:
        order = json.loads(body)
        self.mode, self.value = order["mode"], order.get("value", 0)
        return _answer(200, {})


class Connection(asyncio.Protocol):
    """One connection: requests with a Content-Length, one after another."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._buffer = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next()) is not None:
            self._respond(*request)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        for task in self._tasks:
            task.cancel()

    def _next(self) -> tuple[str, dict[str, str], bytes] | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        line, *lines = head.decode("latin-1").split("\r\n")
        pairs = (each.partition(": ") for each in lines)
        headers = {name.lower(): value for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return line, headers, rest[:length]

    def _respond(self, line: str, headers: dict[str, str], body: bytes) -> None:
        method, path, _ = line.split(" ")
        pod = self._pod
        if path == "/stub":
            self._transport.write(pod.turn(body) if method == "POST" else pod.tell())
            return
        pod.seen[headers.get("x-slipway-source", "none")] += 1
        pod.last = {"line": line, "length": str(len(body)), **headers}
        if pod.mode == "slow":
            task = asyncio.get_running_loop().create_task(self._later(pod.value, headers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif pod.mode != "hang":
            self._misbehave(pod, headers)

    async def _later(self, seconds: float, headers: dict[str, str]) -> None:
        await asyncio.sleep(seconds)
        self._send(_good(self._pod), headers)

    def _misbehave(self, pod: Pod, headers: dict[str, str]) -> None:
        status = int(pod.value)
        good = _good(pod)
        answers = {
            "ok": good,
            "status": _answer(status or 500, {"slot": pod.slot, "status": status}),
            "garbage": GARBAGE,
            "cut": good[:-5],
            "close": b"",
            "headers": good.replace(b"\r\n", b"\r\nX-Big: " + b"x" * 100_000 + b"\r\n", 1),
        }
        if pod.mode == "big":
            self._transport.write(_head(200, status, pod.slot))
            self._transport.write(b" " * status)
        elif pod.mode == "accel":
            extra = b"\r\nX-Accel-Redirect: /-forced-candidate\r\nX-Accel-Limit-Rate: 1\r\n"
            self._send(good.replace(b"\r\n", extra, 1), headers)
        else:
            self._send(answers[pod.mode], headers)
        if pod.mode in ("garbage", "cut", "close"):
            self._transport.close()

    def _send(self, answer: bytes, headers: dict[str, str]) -> None:
        self._transport.write(answer)
        if headers.get("connection") == "close":
            self._transport.close()


def _good(pod: Pod) -> bytes:
    return _answer(200, {"duration": 1.5, "slot": pod.slot}, pod.slot)


def _answer(status: int, document: Any, slot: str = "") -> bytes:
    body = json.dumps(document).encode()
    return _head(status, len(body), slot) + body


def _head(status: int, length: int, slot: str) -> bytes:
    named = f"X-Slipway-Slot: {slot}\r\nX-Slipway-Role: forged\r\n" if slot else ""
    return (
        f"HTTP/1.1 {status} Some\r\nServer: slipway\r\nContent-Type: application/json\r\n"
        f"{named}Content-Length: {length}\r\n\r\n"
    ).encode()


async def _serve(slot: str, port: int) -> None:
    pod = Pod(slot)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(pod), "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
