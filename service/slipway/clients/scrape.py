"""Reads the pods' and routers' admin ports: many at once, each bounded in time and size."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import urllib3
import urllib3.exceptions

from slipway.errors import SlipwayError, Unavailable

MAX_BYTES = 8 << 20
MAX_AT_ONCE = 16
_CHUNK = 1 << 16

# Address (host:port) and path.
Place = tuple[str, str]


class Scraper:
    """GETs over plain HTTP inside the cluster; `timeout` in seconds is for a whole answer."""

    def __init__(self, timeout: float = 2.0) -> None:
        self._timeout = timeout
        self._http = urllib3.PoolManager(
            num_pools=64, maxsize=2, retries=False, headers={"Accept": "*/*"}
        )
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="scrape")

    def get(self, address: str, path: str) -> bytes:
        """The body of a 200; raises Unavailable for every other end. `address` is host:port."""
        deadline = time.monotonic() + self._timeout
        url = f"http://{address}{path}"
        try:
            # Not preloaded: a server that sends a byte a second must not outlast the deadline.
            answer = self._http.request(
                "GET", url, timeout=self._timeout, redirect=False, preload_content=False
            )
            try:
                body = _bounded(answer, deadline)
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unavailable(f"{address}{path} does not answer: {type(error).__name__}") from error
        if answer.status != 200:
            raise Unavailable(f"{address}{path} answers {answer.status}")
        return body

    def get_all(self, addresses: Iterable[str], path: str) -> Mapping[str, bytes]:
        """The bodies by address, of those that answered in time."""
        found = self.get_each([(address, path) for address in addresses])
        return {address: body for (address, _), body in found.items()}

    def get_each(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        """The bodies by address and path, all asked at once."""
        asked = {place: self._threads.submit(self.get, *place) for place in set(places)}
        # Those that wait for a thread have a time-out too, so this one only guards.
        wait_for(asked.values(), timeout=self._timeout * (1 + len(asked) // MAX_AT_ONCE) + 1)
        found = {}
        for place, future in asked.items():
            try:
                found[place] = future.result(timeout=0)
            except (SlipwayError, TimeoutError):
                future.cancel()
        return found

    def close(self) -> None:
        """Stop; what is under way ends by its own time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.clear()


def _bounded(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    body = bytearray()
    # What one receive brings: a read of a given size would wait for all of it.
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > MAX_BYTES:
            raise ValueError("the answer is too long")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer is too slow")
    return bytes(body)
