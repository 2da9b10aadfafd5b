"""nginx's configuration for `route`: a table and the slots' pods as weights, mirror, retry. Pure.

A request comes in at `/`, is given a target (choice.py), and is sent on from the internal location
of that name. Copies for the shadow leave from `/-shadow`, and what the candidate failed is answered
by stable from `@fallback`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from slipway.cluster.protocol import SLOTS, SlotName
from slipway.router.choice import Pods, Target, choice, log_formats, targets
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
    preamble,
    problem_locations,
    problem_maps,
    request_id_map,
)
from slipway.router.table import Role, Table

FAILED = Problem(500, "Internal Server Error", "the router failed; its log says more")
BAD_GATEWAY = Problem(502, "Bad Gateway", "no pod answered as it should; try again", "", SOON)
NO_MODEL = Problem(
    503, "No model is loaded", "no model yet: none was named; ask again later", "model", LATER
)
WAITING = Problem(
    503, "No model is loaded", "the model that was named is not serving yet", "waiting", LATER
)
NO_PODS = Problem(
    503, "Service Unavailable", "no pod of the stable release is ready; try again", "pods", LATER
)
NO_ROLE = Problem(
    503, "Service Unavailable", "no slot plays the role that X-Slipway-Role asks for", "role"
)
TIMEOUT = Problem(504, "Gateway Timeout", "no pod answered in time; try again", "", SOON)
PROBLEMS = (FAILED, BAD_GATEWAY, NO_MODEL, WAITING, NO_PODS, NO_ROLE, TIMEOUT)

# What makes stable answer in the candidate's place.
FALLBACK_CODES = (422, *range(500, 600))
# A prediction changes nothing, so a POST may be sent again.
_RETRY = "error timeout invalid_header http_502 http_503 http_504 non_idempotent"
_MOST_TRIES = 3
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")
_NOBODY = "server 127.0.0.1:1 down;"


def usable_address(address: str) -> bool:
    """Whether this is a host and a port, and nothing that would mean something else to nginx."""
    return _ADDRESS.fullmatch(address) is not None


def render_route(table: Table, pods: Pods, layout: Layout, limits: Limits) -> Rendered:
    """The configuration for a table whose slots have these pods, given as host:port."""
    text = f"""\
# Written by `slipway router` for epoch {table.epoch}.
{preamble("route", layout, limits)}http {{
{http_basics("route", layout)}\
    # `front` opens a connection for each request, so that none is idle when this is reloaded, and
    # a copy that hangs keeps nobody's connection busy.
    keepalive_timeout 0;
    client_max_body_size 0;
    large_client_header_buffers 4 16k;
    limit_conn_zone shadow zone=shadow:32k;
    log_subrequest on;
{log_formats(table)}\
{request_id_map("$http_x_request_id")}{problem_maps(PROBLEMS)}\
{choice(table, pods)}\
{"".join(_upstream(slot, pods.get(slot, ())) for slot in SLOTS if slot in table.slots)}\
{_server(table, pods, layout, limits)}"""
    return finished(text, "route", layout, table.epoch)


def _upstream(slot: SlotName, pods: Sequence[str]) -> str:
    """A slot's pods. Each stands there twice: when all of them failed, all are tried again.

    Without that, a pod each that failed would be a slot of which nginx says "no live upstreams".
    """
    servers = [f"server {pod} max_fails=3 fail_timeout=2s;" for pod in pods]
    backup = [f"server {pod} max_fails=0 backup;" for pod in pods]
    lines = [
        f"zone {slot} 256k;",
        "least_conn;",
        *(servers + backup or [_NOBODY]),
        "keepalive 32;",
        # Shorter than the pods' own: the side that reuses gives up first.
        "keepalive_timeout 60s;",
    ]
    return f"    upstream {slot} {{\n{indented(lines, 8)}    }}\n"


def _server(table: Table, pods: Pods, layout: Layout, limits: Limits) -> str:
    return f"""\
    server {{
        listen unix:{layout.socket("route")} backlog=4096;
        server_name slipway;
        access_log {layout.access_log("route")} route;
        recursive_error_pages on;
        proxy_pass_header Server;
        proxy_hide_header X-Slipway-Role;
        proxy_hide_header X-Slipway-Fallback;
        proxy_hide_header {COUNTED_HEADER};
        proxy_next_upstream {_RETRY};
        location / {{ rewrite ^ $slipway_target last; }}
{_nothing("/-nothing", WAITING if table.waiting else NO_MODEL)}\
{"".join(_location(target, pods) for target in targets(table))}\
{_without_candidate(table)}\
{_fallback(table, pods)}{_shadow(table, pods, layout, limits)}\
{problem_locations(PROBLEMS, _counted())}\
    }}
"""


def _location(target: Target, pods: Pods) -> str:
    errors = _errors(target.role, pods.get(target.slot, ()))
    if target.place == "/-candidate":
        codes = " ".join(map(str, FALLBACK_CODES))
        errors = ["proxy_intercept_errors on;", f"error_page {codes} = @fallback;"]
    mirror = ["mirror /-shadow;"] if target.place == "/-mirrored" else []
    lines = [
        "internal;",
        *mirror,
        *errors,
        *_answer_headers(target.role),
        *_pass(target.slot, pods, target.source, target.seconds),
    ]
    return f"        location = {target.place} {{\n{indented(lines, 12)}        }}\n"


def _without_candidate(table: Table) -> str:
    if table.slot_of("candidate") or not table.force_role:
        return ""
    return _nothing("/-forced-candidate", NO_ROLE)


def _nothing(place: str, problem: Problem) -> str:
    lines = ["internal;", error_page(503, problem), "return 503;"]
    return f"        location = {place} {{\n{indented(lines, 12)}        }}\n"


def _fallback(table: Table, pods: Pods) -> str:
    stable = table.slot_of("stable")
    if stable is None or table.slot_of("candidate") is None:
        return ""
    left = max(0.1, table.timeouts.total - table.timeouts.candidate)
    lines = [
        *_errors("stable", pods.get(stable, ())),
        *_answer_headers("stable"),
        "add_header X-Slipway-Fallback 1 always;",
        *_pass(stable, pods, "fallback", left),
    ]
    return f"        location @fallback {{\n{indented(lines, 12)}        }}\n"


def _shadow(table: Table, pods: Pods, layout: Layout, limits: Limits) -> str:
    if table.shadow is None:
        return ""
    lines = [
        "internal;",
        f"access_log {layout.access_log('route')} shadow;",
        f"limit_conn shadow {limits.shadow_connections};",
        "limit_conn_log_level info;",
        # The client has its answer and is gone; the copy goes on.
        "proxy_ignore_client_abort on;",
        *_pass(table.shadow.slot, pods, "shadow", table.timeouts.candidate, connection="close"),
    ]
    return f"        location = /-shadow {{\n{indented(lines, 12)}        }}\n"


def _pass(
    slot: SlotName, pods: Pods, source: str, seconds: float, connection: str = '""'
) -> list[str]:
    milliseconds = round(seconds * 1000)
    # No more than there are pods: a try for which nobody is left would hide what a pod answered.
    # A connection that nginx had kept and the pod closed meanwhile is not counted by nginx.
    tries = min(_MOST_TRIES, max(1, len(pods.get(slot, ()))))
    return [
        "proxy_set_header Host $host;",
        f"proxy_set_header Connection {connection};",
        f"proxy_set_header X-Slipway-Source {source};",
        'proxy_set_header X-Slipway-Role "";',
        f"proxy_connect_timeout {min(1000, milliseconds)}ms;",
        f"proxy_read_timeout {milliseconds}ms;",
        f"proxy_send_timeout {milliseconds}ms;",
        f"proxy_next_upstream_timeout {milliseconds}ms;",
        f"proxy_next_upstream_tries {tries};",
        # The path as the client wrote it; `$uri` is the target by now.
        f"proxy_pass http://{slot}$request_uri;",
    ]


def _errors(role: Role, pods: Sequence[str]) -> list[str]:
    gateway = BAD_GATEWAY if pods or role != "stable" else NO_PODS
    return [error_page(500, FAILED), error_page(502, gateway), error_page(504, TIMEOUT)]


def _answer_headers(role: Role) -> list[str]:
    return [_counted(), f"add_header X-Slipway-Role {role} always;"]


def _counted() -> str:
    return f"add_header {COUNTED_HEADER} 1 always;"
