"""A web server on 127.0.0.1 with files in it, which can break off its answers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebServer:
    """`files` by path; the next `broken` answers end in their middle; `status` in place of 200.

    What is put is read and not kept.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    broken: int = 0
    status: int = 200
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def web_server(files: dict[str, bytes]) -> Iterator[WebServer]:
    """Runs the server within the block."""
    server = WebServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.asked.append(self.path)
            if path == "/moved":
                self.send_response(302)
                self.send_header("Location", next(iter(server.files)))
                self.end_headers()
                return
            body = server.files.get(path)
            self.send_response(404 if body is None else server.status)
            body = body or b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if server.broken:
                server.broken -= 1
                body = body[: len(body) // 2]
            self.wfile.write(body)

        def do_PUT(self) -> None:
            server.asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        server.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield server
        running.shutdown()
        thread.join()
