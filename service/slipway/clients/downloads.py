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
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from slipway.clients.objects import Readable
from slipway.errors import AccessDenied, ArtifactMissing, Unavailable

if TYPE_CHECKING:
    import urllib3

TRIES = 3
PAUSE = 0.5
# Small, as the time is looked at between two blocks, however slowly they come.
BLOCK = 1 << 14

Opener = Callable[[], AbstractContextManager[Readable]]


def download(opener: Opener, target: Path, seconds: float, name: str) -> None:
    """Write what `opener` gives into `target`; all tries together take `seconds` at most.

    A transfer that broke off on the way is begun anew. Asking for it is the opener's to repeat, so
    what it raises is raised: Unavailable, AccessDenied, ArtifactMissing.
    """
    deadline = time.monotonic() + seconds
    for attempt in range(TRIES):
        try:
            return _once(opener, target, deadline, name)
        except _BrokenOff as broken:
            if attempt == TRIES - 1 or time.monotonic() > deadline:
                raise Unavailable(broken.message) from broken
            time.sleep(PAUSE * 2**attempt)
    return None


class _BrokenOff(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _once(opener: Opener, target: Path, deadline: float, name: str) -> None:
    began = False
    try:
        with opener() as body, target.open("wb") as sink:
            began = True
            while chunk := body.read(BLOCK):
                _write(sink, chunk, name)
                _check_time(deadline, name)
    except AccessDenied:
        raise
    except Unavailable as error:
        if not began:
            raise
        raise _BrokenOff(error.message) from error


def _write(sink: BinaryIO, chunk: bytes, name: str) -> None:
    try:
        sink.write(chunk)
    except OSError as error:
        raise AccessDenied(
            f"{name} does not fit into the scratch folder: {error.strerror}"
        ) from error


def _check_time(deadline: float, name: str) -> None:
    if time.monotonic() > deadline:
        raise Unavailable(
            f"{name} comes too slowly; SLIPWAY_TRANSFER_SECONDS is the time that it has"
        )


class WebFiles:
    """Files behind HTTP and HTTPS, by the proxies and certificates of the environment."""

    @contextmanager
    def open(self, url: str) -> Iterator[Readable]:
        """One file's bytes; raises ArtifactMissing, AccessDenied or Unavailable."""
        # Here, as a file or a store needs none of it.
        import urllib3.exceptions

        host = urlsplit(url).hostname or ""
        with _http(url) as pool:
            try:
                answer = pool.request(
                    "GET",
                    url,
                    preload_content=False,
                    timeout=urllib3.Timeout(connect=5, read=10),
                    retries=_retries(),
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
    import urllib3

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


def _retries() -> urllib3.Retry:
    import urllib3

    return urllib3.Retry(
        total=None,
        connect=2,
        read=2,
        redirect=5,
        status=2,
        other=0,
        status_forcelist=(429, 500, 502, 503, 504),
        backoff_factor=0.2,
        raise_on_status=False,
    )
