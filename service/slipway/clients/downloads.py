"""Fetches one remote file whole, within a time and a number of tries, and web files at all.

A transfer that breaks off is begun anew: its bytes have to be those of one answer, since servers
may replace a file between two of them.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
import urllib3.exceptions

from slipway.clients.objects import Readable
from slipway.errors import AccessDenied, ArtifactMissing, Unavailable

TRIES = 3
PAUSE = 0.5
# Small, as the time is looked at between two blocks, however slowly they come.
BLOCK = 1 << 14

Opener = Callable[[], AbstractContextManager[Readable]]


def download(opener: Opener, target: Path, seconds: float, name: str) -> None:
    """Write what `opener` gives into `target`; all tries together take `seconds` at most.

    Raises Unavailable, or at once whatever a repetition does not mend: AccessDenied and
    ArtifactMissing.
    """
    deadline = time.monotonic() + seconds
    for attempt in range(TRIES):
        try:
            return _once(opener, target, deadline, name)
        except AccessDenied:
            raise
        except Unavailable:
            if attempt == TRIES - 1 or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE * 2**attempt)
    return None


def _once(opener: Opener, target: Path, deadline: float, name: str) -> None:
    with opener() as body, target.open("wb") as sink:
        while chunk := body.read(BLOCK):
            try:
                sink.write(chunk)
            except OSError as error:
                raise AccessDenied(
                    f"{name} does not fit into the scratch folder: {error.strerror}"
                ) from error
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{name} comes too slowly; SLIPWAY_TRANSFER_SECONDS is the time that it has"
                )


class WebFiles:
    """Files behind HTTP and HTTPS, by the proxies and certificates of the environment."""

    @contextmanager
    def open(self, url: str) -> Iterator[Readable]:
        """One file's bytes; raises ArtifactMissing, AccessDenied or Unavailable."""
        host = urlsplit(url).hostname or ""
        with _http(url) as pool:
            try:
                answer = pool.request(
                    "GET",
                    url,
                    preload_content=False,
                    timeout=urllib3.Timeout(connect=5, read=10),
                    retries=urllib3.Retry(total=None, connect=0, read=0, redirect=5, other=0),
                    # The bytes as they lie there: their digest names them.
                    headers={"Accept-Encoding": "identity"},
                )
                try:
                    _check(answer.status, host)
                    yield answer
                finally:
                    answer.close()
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise Unavailable(
                    f"{host} does not answer or broke off: {type(error).__name__}"
                ) from error


def _http(url: str) -> urllib3.PoolManager:
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def _check(status: int, host: str) -> None:
    if status == 200:
        return
    if status in (404, 410):
        raise ArtifactMissing(f"{host} answers {status}")
    if status == 403:
        # So do public stores that do not say which files they have.
        raise ArtifactMissing(f"{host} answers 403: it is not there, or not for us")
    if status == 401:
        raise AccessDenied(f"{host} wants credentials; put them into the address")
    raise Unavailable(f"{host} answers {status}")
