"""nginx's configuration for `front`: clients, paths, limits, ids. Pure; nothing of a table in it.

It is rendered once and never reloaded, so no change of weights can cost a client its connection.
"""

from __future__ import annotations

from slipway.router.nginx_conf import (
    COUNTED_HEADER,
    LATER,
    SOON,
    Layout,
    Limits,
    Problem,
    Rendered,
    error_page,
    finished,
    http_basics,
    indented,
    map_of,
    preamble,
    problem_locations,
    problem_maps,
    request_id_map,
)

# What is passed on. A pod's /metrics, /livez and /readyz are nobody's business out here.
PATHS = (
    "= /predict",
    "= /invocations",
    "= /model",
    "= /v2",
    "^~ /v2/",
    "= /openapi.json",
    "= /docs",
)

# What `route` has counted is not counted again, and neither is what a pod answered without a status
# line: nginx takes that for HTTP/0.9 and hands it on bare.
_COUNTS = {"~^1:": "0", "~^:009": "0"}
_ALLOW = {
    r"~^/(predict|invocations)(\?|$)": "POST, OPTIONS",
    r"~^/model(\?|$)": "GET, HEAD, OPTIONS",
}
_REQUEST_ID = "add_header X-Request-Id $slipway_request_id always;"


def render_front(layout: Layout, limits: Limits, listen: str) -> Rendered:
    """The configuration; `listen` is the address and port that clients come to."""
    problems = _problems(limits)
    text = f"""\
# Written by `slipway router`, once.
{preamble("front", layout, limits)}http {{
{http_basics("front", layout)}\
    keepalive_timeout 75s;
    client_header_timeout {limits.client_seconds}s;
    client_body_timeout {limits.client_seconds}s;
    send_timeout 10s;
    reset_timedout_connection on;
    client_max_body_size {limits.body_bytes};
    large_client_header_buffers 4 8k;
{_maps()}{problem_maps(problems)}\
    log_format front '$status';
    server {{
        listen {listen} backlog=4096;
        server_name slipway;
        access_log {layout.access_log("front")} front if=$slipway_counts;
        {_REQUEST_ID}
{_error_pages(problems)}\
{indented(_proxy(limits), 8)}\
{_locations(layout)}\
        location / {{ return 404; }}
{problem_locations(problems, _REQUEST_ID)}\
    }}
"""
    return finished(text, "front", layout, 0)


def _maps() -> str:
    sane = {"~^[\\x20-\\x7e]{1,128}$": "$http_x_request_id"}
    seen = "$upstream_http_x_slipway_counted:$status"
    return (
        map_of("$http_x_request_id", "$slipway_request_id", sane, "$request_id")
        + request_id_map("$slipway_request_id")
        + map_of("$request_uri", "$slipway_allow", _ALLOW, "GET, HEAD")
        + map_of(seen, "$slipway_counts", _COUNTS, "1")
    )


def _problems(limits: Limits) -> list[Problem]:
    """What `front` itself answers."""
    large = f"the body is larger than {limits.body_bytes} bytes; send fewer rows in one request"
    allow = (("Allow", "$slipway_allow"),)
    return [
        Problem(400, "Bad Request", "the request is not HTTP as it is understood here"),
        Problem(404, "Not Found", "nothing is at this path; predictions are made at POST /predict"),
        Problem(405, "Method Not Allowed", "the header Allow says what goes here", "", allow),
        Problem(413, "Content Too Large", large),
        Problem(414, "URI Too Long", "the path and its query are too long"),
        Problem(431, "Request Header Fields Too Large", "the headers are too large"),
        Problem(500, "Internal Server Error", "the router failed; its log says more"),
        Problem(501, "Not Implemented", "this transfer coding is not read here"),
        Problem(502, "Bad Gateway", "a part of the router is being started; try again", "", SOON),
        Problem(503, "Service Unavailable", "the router is busy; try again", "", LATER),
        Problem(504, "Gateway Timeout", "there was no answer in time; try again", "", SOON),
        Problem(505, "HTTP Version Not Supported", "HTTP/1.1 is spoken here"),
    ]


def _error_pages(problems: list[Problem]) -> str:
    own = {problem.status: problem for problem in problems}
    # 494 is nginx's own code for a header that does not fit into its buffers.
    pages = {**own, 494: own[431]}
    return indented((error_page(code, problem) for code, problem in pages.items()), 8)


def _proxy(limits: Limits) -> list[str]:
    """What goes to `route` with a request, and what comes back without being shown."""
    return [
        "proxy_set_header Host $host;",
        "proxy_set_header Connection close;",
        "proxy_set_header X-Request-Id $slipway_request_id;",
        # Only the first where a client sends several: slot and sample must go by one key.
        "proxy_set_header X-Slipway-Key $http_x_slipway_key;",
        "proxy_set_header X-Slipway-Pair $request_id;",
        'proxy_set_header X-Slipway-Source "";',
        "proxy_hide_header X-Request-Id;",
        f"proxy_hide_header {COUNTED_HEADER};",
        "proxy_pass_header Server;",
        "proxy_next_upstream off;",
        # A client may close its half once it has asked; and one that gives up must not hide what
        # it gave up on from the gates.
        "proxy_ignore_client_abort on;",
        "proxy_connect_timeout 2s;",
        # Whatever a table says, `route` gives up first.
        f"proxy_read_timeout {limits.shutdown_seconds}s;",
    ]


def _locations(layout: Layout) -> str:
    """Every path goes to `route`; once the router leaves, its answers end their connections.

    Else a client's next request could meet the connection just as it is closed. Without a reload
    nothing but another location turns keep-alive off, and `return` is the safe use of `if`. That
    418 must not be the last word: the error pages still hold in the other location.
    """
    passed = f"proxy_pass http://unix:{layout.socket('route')};"
    leaving = f"recursive_error_pages on; if (-f {layout.leaving}) {{ return 418; }}"
    lines = [f"location {path} {{ {leaving} {passed} }}" for path in PATHS]
    last = f"location @leaving {{ keepalive_timeout 0; {passed} }}"
    return indented(("error_page 418 = @leaving;", *lines, last), 8)
