"""What both of the router's nginx configurations are made of. Pure.

`front` (front_conf.py) holds the clients' connections and is never reloaded; `route`
(route_conf.py) behind it has everything that changes. Nothing here is beyond the modules that any
build of nginx has, and nothing leans on a default that differs between 1.22 and later ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from slipway.errors import InvalidConfig

# `route` marks its answers with this, so that nothing is counted twice.
COUNTED_HEADER = "X-Slipway-Counted"
# What a socket's path may have: sun_path of Linux less the final zero.
MAX_SOCKET_PATH = 107
# When to try again: what is being started, what somebody has to see to.
SOON, LATER = (("Retry-After", "1"),), (("Retry-After", "5"),)
# On these paths clients of MLflow and of the open inference protocol look for `error`.
WITH_ERROR = r"^/(invocations|v2)(/|\?|$)"

Master = Literal["front", "route"]


@dataclass(frozen=True)
class Layout:
    """Where everything of the two masters lies: in one folder. `user` only if we are root."""

    folder: str
    user: str = ""

    def __post_init__(self) -> None:
        longest = max(len(self.socket("route")), len(self.status_socket("front")))
        if longest > MAX_SOCKET_PATH:
            raise InvalidConfig(
                f"the folder {self.folder} makes a socket's path {longest} characters long, and "
                f"{MAX_SOCKET_PATH} are possible; name a shorter one"
            )
        if any(sign in self.folder for sign in " \t\n'\"\\;{}$"):
            raise InvalidConfig(f"nginx cannot work in a folder of this name: {self.folder!r}")

    def conf(self, master: Master) -> str:
        """The configuration in force."""
        return f"{self.folder}/{master}.conf"

    def pid(self, master: Master) -> str:
        """The file that the master writes its process id into."""
        return f"{self.folder}/{master}.pid"

    def socket(self, master: Master) -> str:
        """Where `route` takes requests from `front`."""
        return f"{self.folder}/{master}.sock"

    def status_socket(self, master: Master) -> str:
        """Where a master says which configuration its workers have."""
        return f"{self.folder}/{master}-s.sock"

    def access_log(self, master: Master) -> str:
        """What the agent counts from."""
        return f"{self.folder}/{master}-access.log"

    @property
    def leaving(self) -> str:
        """A file that is there while the router leaves: answers then end their connections."""
        return f"{self.folder}/leaving"

    @property
    def saved(self) -> str:
        """The last table that was loaded, for a start without the cluster."""
        return f"{self.folder}/loaded.json"

    def error_log(self, master: Master) -> str:
        """nginx's own talk, which the agent passes on."""
        return f"{self.folder}/{master}-error.log"


@dataclass(frozen=True)
class Limits:
    """Bounds in bytes, seconds and counts."""

    body_bytes: int = 1 << 20
    # For a request's head, and between two pieces of its body: slow clients cost a connection.
    client_seconds: int = 5
    connections: int = 4096
    files: int = 1024
    workers: int = 1
    # Copies that may be under way at once; what is beyond is dropped and counted.
    shadow_connections: int = 64
    # Longer than any request can take (table.py: 60 s).
    shutdown_seconds: int = 65


@dataclass(frozen=True)
class Rendered:
    """A configuration, and what its workers say when they are asked which one they have."""

    text: str
    said: str


@dataclass(frozen=True)
class Problem:
    """An error that the router itself answers with (RFC 9457)."""

    status: int
    title: str
    detail: str
    # Tells apart problems of one status.
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The variable with its body."""
        return f"problem_{self.status}{'_' if self.kind else ''}{self.kind}"

    @property
    def place(self) -> str:
        """The internal location that answers it.

        One with a path: an unreadable request has none, so nginx could not go to a named location.
        """
        return f"/-{self.name}"


def preamble(master: Master, layout: Layout, limits: Limits) -> str:
    """Everything outside of `http`."""
    user = f"user {layout.user};\n" if layout.user else ""
    return f"""\
{user}daemon off;
pid {layout.pid(master)};
error_log {layout.error_log(master)} error;
worker_processes {limits.workers};
worker_rlimit_nofile {limits.files};
worker_shutdown_timeout {limits.shutdown_seconds}s;
events {{ worker_connections {limits.connections}; }}
"""


def http_basics(master: Master, layout: Layout) -> str:
    """The first lines within `http`: temporary files in our folder, nothing that tells too much."""
    temporary = "\n".join(
        f"    {kind}_temp_path {layout.folder}/{master}-tmp;"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
{temporary}
    client_body_buffer_size 128k;
    default_type application/problem+json;
    server_tokens off;
    merge_slashes off;
    # An answer waits in memory for a slow client as far as it fits, never on disk.
    proxy_max_temp_file_size 0;
    proxy_buffer_size 16k;
    proxy_buffers 8 16k;
    proxy_http_version 1.1;
    # A pod runs a model's code; what it answers must not steer the router.
    proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering
                         X-Accel-Charset Expires Cache-Control Set-Cookie Vary;
"""


def finished(text: str, master: Master, layout: Layout, epoch: int) -> Rendered:
    """The configuration, `http` closed, with the server that tells the agent that it is loaded."""
    revision = hashlib.sha256(text.encode()).hexdigest()[:16]
    said = f"{epoch} {revision}"
    return Rendered(
        f"""\
{text}\
    server {{
        listen unix:{layout.status_socket(master)};
        access_log off;
        keepalive_timeout 0;
        default_type text/plain;
        location / {{ return 200 "{said}"; }}
    }}
}}
""",
        said,
    )


def problem_maps(problems: Iterable[Problem]) -> str:
    """A variable for each problem's body. `$slipway_quotable_id` must be defined beside them."""
    return "".join(
        f"    map $request_uri ${problem.name} {{\n"
        f"        default '{_body(problem, with_error=False)}';\n"
        f"        \"~{WITH_ERROR}\" '{_body(problem, with_error=True)}';\n"
        "    }\n"
        for problem in problems
    )


def problem_locations(problems: Iterable[Problem], *headers: str) -> str:
    """A location for each problem; `headers` are directives that each of them needs."""
    return "".join(_problem_location(problem, headers) for problem in problems)


def error_page(code: int, problem: Problem) -> str:
    """The directive that answers a code of nginx's own with a problem, and the problem's status."""
    return f"error_page {code} = {problem.place};"


def request_id_map(source: str) -> str:
    """The request id as it may stand inside JSON: nginx cannot escape there."""
    return (
        f'    map {source} $slipway_quotable_id {{ default ""; "~^[^\\"\\\\\\\\]*$" {source}; }}\n'
    )


def indented(lines: Iterable[str], spaces: int) -> str:
    """Lines of a block."""
    return "".join(f"{' ' * spaces}{line}\n" for line in lines)


def map_of(source: str, target: str, values: Mapping[str, str], default: str) -> str:
    """A `map` with plain or regular-expression (`~`) keys, in the order given."""
    lines = "".join(f'        "{key}" "{value}";\n' for key, value in values.items())
    return f'    map {source} {target} {{\n        default "{default}";\n{lines}    }}\n'


def _body(problem: Problem, *, with_error: bool) -> str:
    document = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": "$slipway_quotable_id",
    }
    if with_error:
        document["error"] = problem.detail
    return msgspec.json.encode(document).decode()


def _problem_location(problem: Problem, headers: Iterable[str]) -> str:
    own = [f"add_header {name} {value} always;" for name, value in problem.headers]
    lines = ["internal;", *headers, *own, f"return {problem.status} ${problem.name};"]
    return f"        location = {problem.place} {{\n{indented(lines, 12)}        }}\n"
