"""The 108 requests of the fault study's table 1.6, by its numbers, as bytes for a raw socket.

`status` holds what may be answered; 0 stands for a connection that is closed without an answer.
Rows that only a router in front can answer as they should are in ROUTER_ONLY.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.raw_http import RawAnswer, chunked, post

RIDE: dict[str, Any] = {"PULocationID": "10", "DOLocationID": "50", "trip_distance": 4.0}
GOOD = json.dumps(RIDE).encode()
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One request; `pointer` is the JSON pointer that the answer must hold, if any is due."""

    number: int
    name: str
    request: bytes
    status: frozenset[int]
    pointer: str | None = None
    end: bool = False
    header: str | None = None

    def __str__(self) -> str:
        return f"{self.number}-{self.name}"


def _case(
    number: int,
    name: str,
    request: bytes,
    *status: int,
    pointer: str | None = None,
    end: bool = False,
    header: str | None = None,
) -> Case:
    return Case(number, name, request, frozenset(status), pointer, end, header)


def ride(**changed: Any) -> bytes:
    """A ride with some fields changed; Ellipsis takes a field away."""
    row = RIDE | changed
    return json.dumps({name: value for name, value in row.items() if value is not ...}).encode()


def distance(text: bytes) -> bytes:
    """A ride whose distance is this text, whatever it is."""
    return b'{"PULocationID": "10", "DOLocationID": "50", "trip_distance": ' + text + b"}"


def zone(text: bytes) -> bytes:
    """A ride whose first zone is a string of these raw bytes."""
    return b'{"PULocationID": "' + text + b'", "DOLocationID": "50", "trip_distance": 4.0}'


def batch(*rows: Any) -> bytes:
    return json.dumps({"instances": list(rows)}).encode()


def get(target: str = "/predict", method: str = "GET", version: str = "1.1") -> bytes:
    return f"{method} {target} HTTP/{version}\r\nHost: test\r\nConnection: close\r\n\r\n".encode()


def head(*lines: str) -> bytes:
    """A POST that is only a head, its lines as given after the Host."""
    return "\r\n".join(
        ["POST /predict HTTP/1.1", "Host: test", "Content-Type: application/json", *lines, "", ""]
    ).encode()


_ALLOW = "allow"
_D, _P = "/trip_distance", "/PULocationID"

SOUND = [
    _case(1, "valid record", post(GOOD), 200),
    _case(2, "valid, charset param", post(GOOD, media="application/json; charset=utf-8"), 200),
    _case(3, "valid, chunked", head("Transfer-Encoding: chunked") + chunked(GOOD, 7), 200),
    _case(4, "valid, unseen category", post(ride(PULocationID="never seen")), 200),
    _case(5, "valid, UTF-8 string", post(zone("Zürich 東京".encode())), 200),
    _case(6, "valid, batch of 2", post(batch(RIDE, RIDE)), 200),
]

NOT_JSON = [
    _case(7, "empty body", post(b""), 400),
    _case(8, "whitespace body", post(b"  \n "), 400),
    _case(9, "truncated JSON", post(GOOD[:-5]), 400),
    _case(10, "trailing garbage", post(GOOD + b"x"), 400),
    _case(11, "two JSON documents", post(GOOD + GOOD), 400),
    _case(12, "single quotes", post(GOOD.replace(b'"', b"'")), 400),
    _case(13, "trailing comma", post(GOOD[:-1] + b",}"), 400),
    _case(14, "comment in JSON", post(b"/* a ride */" + GOOD), 400),
    _case(15, "UTF-8 BOM", post(b"\xef\xbb\xbf" + GOOD), 400),
    _case(16, "UTF-16 body", post(GOOD.decode().encode("utf-16")), 400),
    _case(17, "invalid UTF-8 in string", post(zone(b"\xff\xfe")), 400),
    _case(18, "lone surrogate escape", post(zone(b"\\ud800")), 400),
    _case(19, "NUL escape in string", post(zone(b"a\\u0000b")), 200, 422),
    _case(20, "raw control char in string", post(zone(b"a\x01b")), 400),
]

NOT_THE_SCHEMA = [
    _case(21, "JSON null", post(b"null"), 422),
    _case(22, "JSON true", post(b"true"), 422),
    _case(23, "JSON number", post(b"4"), 422),
    _case(24, "JSON string", post(b'"ride"'), 422),
    _case(25, "JSON array []", post(b"[]"), 422),
    _case(26, "JSON array of record", post(b"[" + GOOD + b"]"), 422),
    _case(27, "empty object {}", post(b"{}"), 422),
    _case(28, "missing field", post(ride(trip_distance=...)), 422, pointer=_D),
    _case(29, "field null", post(ride(trip_distance=None)), 422, pointer=_D),
    _case(30, "unknown extra field", post(ride(colour="green")), 422, pointer="/colour"),
    _case(31, "case-changed field", post(GOOD.replace(b"trip_d", b"Trip_d")), 422),
    _case(32, "duplicate key", post(GOOD[:-1] + b', "trip_distance": 9}'), 200),
    _case(33, "number as string '4.0'", post(ride(trip_distance="4.0")), 422, pointer=_D),
    _case(34, "number as text 'abc'", post(ride(trip_distance="abc")), 422, pointer=_D),
    _case(35, "bool for number", post(ride(trip_distance=True)), 422, pointer=_D),
    _case(36, "list for number", post(ride(trip_distance=[4.0])), 422, pointer=_D),
    _case(37, "dict for number", post(ride(trip_distance={"miles": 4})), 422, pointer=_D),
    # A zone's id may be a number: only this schema's own text columns refuse one.
    _case(38, "int for string", post(ride(PULocationID=10)), 200),
    _case(39, "NaN literal", post(distance(b"NaN")), 400),
    _case(40, "Infinity literal", post(distance(b"Infinity")), 400),
    _case(41, "-Infinity literal", post(distance(b"-Infinity")), 400),
    _case(42, "1e400 (overflow to inf)", post(distance(b"1e400")), 422),
    _case(43, "1e308 (finite, out of range)", post(distance(b"1e308")), 422, pointer=_D),
    _case(44, "denormal 5e-324", post(distance(b"5e-324")), 200),
    _case(45, "negative distance", post(distance(b"-4.0")), 422, pointer=_D),
    _case(46, "-0.0", post(distance(b"-0.0")), 200),
    _case(47, "integer of 5,000 digits", post(distance(b"9" * 5000)), 422),
    _case(48, "integer of 300 digits", post(distance(b"9" * 300)), 422, pointer=_D),
    _case(49, "2^64", post(distance(str(2**64).encode())), 422, pointer=_D),
    _case(50, "leading zero 04.0", post(distance(b"04.0")), 400),
    _case(51, "hex 0x10", post(distance(b"0x10")), 400),
    _case(52, "nested arrays x100,000", post(b"[" * 100_000 + b"]" * 100_000), 422),
    _case(
        53,
        "nested objects x100,000 in a field",
        post(distance(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
        422,
    ),
    _case(54, "very long string 900 KB", post(ride(PULocationID="x" * 900_000)), 422, pointer=_P),
    _case(55, "10,000 unknown keys", post(ride(**{f"k{n}": n for n in range(10_000)})), 422),
    _case(56, "batch of 0", post(batch()), 422, pointer="/instances"),
    _case(57, "batch of 1,001", post(batch(*[RIDE] * 1001)), 422, pointer="/instances"),
    _case(
        58,
        "batch, one bad row",
        post(batch(RIDE, RIDE | {"trip_distance": "x"}, RIDE)),
        422,
        pointer="/instances/1/trip_distance",
    ),
    _case(59, "batch not a list", post(b'{"instances": 3}'), 422, pointer="/instances"),
]

SIZE_AND_MEDIA = [
    _case(60, "body 1 MiB + 1", post(b" " * (MIB + 1)), 413),
    _case(61, "body 20 MiB", post(b" " * (20 * MIB)), 413),
    _case(62, "Content-Length 10 GiB, no body", head(f"Content-Length: {10 << 30}"), 413),
    _case(63, "chunked 2 MiB", head("Transfer-Encoding: chunked") + chunked(b" " * (2 * MIB)), 413),
    _case(64, "no Content-Type", post(GOOD, media=""), 415),
    _case(65, "text/plain", post(GOOD, media="text/plain"), 415),
    _case(66, "form-urlencoded", post(b"a=1", media="application/x-www-form-urlencoded"), 415),
    _case(
        67,
        "multipart/form-data",
        post(
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
            media="multipart/form-data; boundary=b",
        ),
        415,
    ),
    _case(68, "application/vnd.api+json", post(GOOD, media="application/vnd.api+json"), 415),
    _case(69, "text/json", post(GOOD, media="text/json; application/json"), 415),
    _case(70, "charset=utf-16 claimed", post(GOOD, media="application/json; charset=utf-16"), 415),
    _case(71, "Content-Encoding: gzip, not gzip", post(GOOD, "Content-Encoding: gzip"), 415),
    _case(
        72,
        "Content-Encoding: gzip bomb",
        post(b"\x1f\x8b\x08" + bytes(1000), "Content-Encoding: gzip"),
        415,
    ),
    _case(73, "pickle body", post(b"\x80\x04N.", media="application/octet-stream"), 415),
]

METHODS_AND_PATHS = [
    _case(74, "GET /predict", get(), 405, header=_ALLOW),
    _case(75, "PUT /predict", get(method="PUT"), 405, header=_ALLOW),
    _case(76, "DELETE /predict", get(method="DELETE"), 405, header=_ALLOW),
    _case(77, "OPTIONS /predict", get(method="OPTIONS"), 200, 204, header=_ALLOW),
    _case(78, "HEAD /predict", get(method="HEAD"), 405, header=_ALLOW, end=True),
    _case(79, "TRACE /predict", get(method="TRACE"), 405, header=_ALLOW),
    _case(80, "lower-case method", post(GOOD).replace(b"POST", b"post", 1), 400),
    _case(81, "unknown path", post(GOOD, path="/nowhere"), 404),
    _case(82, "trailing slash", post(GOOD, path="/predict/"), 404),
    _case(83, "path traversal", post(GOOD, path="/predict/../../etc/passwd"), 400, 404),
    _case(84, "encoded traversal", post(GOOD, path="/%2e%2e/%2e%2e/etc/passwd"), 400, 404),
    _case(85, "query string injected", post(GOOD, path="/predict?model=other"), 200),
    _case(86, "URI of 10 KB", post(GOOD, path="/predict?" + "x" * 10_240), 414),
]

FRAMING = [
    _case(87, "header of 10 KB", post(GOOD, "X-Long: " + "x" * 10_240), 431, 400),
    _case(88, "200 headers", post(GOOD, *(f"X-Many-{n}: 1" for n in range(200))), 431),
    _case(89, "header with underscore", post(GOOD, "X_Request_Id: mine"), 200),
    _case(90, "header with bare CR / NUL", post(GOOD, "X-Bad: a\rb\x00c"), 400),
    _case(91, "two Content-Length", post(GOOD, "Content-Length: 5"), 400),
    _case(92, "CL + TE (smuggling)", post(GOOD, "Transfer-Encoding: chunked"), 400),
    _case(93, "TE: xchunked", head("Transfer-Encoding: xchunked") + chunked(GOOD), 501),
    _case(94, "Content-Length: -1", head("Content-Length: -1") + GOOD, 400),
    _case(95, "Content-Length: abc", head("Content-Length: abc") + GOOD, 400),
    _case(96, "Content-Length: 1_0", head("Content-Length: 1_0") + GOOD, 400),
    _case(97, "CL larger than body then EOF", head("Content-Length: 500") + GOOD, 400, end=True),
    _case(98, "bad chunk size", head("Transfer-Encoding: chunked") + b"zz\r\n" + GOOD, 400),
    _case(99, "HTTP/1.0", post(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
    _case(100, "HTTP/3.0", post(GOOD).replace(b"HTTP/1.1", b"HTTP/3.0"), 505, 400),
    _case(101, "HTTP/0.9", b"POST /predict\r\n\r\n", 505, 400, end=True),
    _case(102, "no Host", post(GOOD).replace(b"Host: test\r\n", b""), 400),
    _case(103, "two Host", post(GOOD, "Host: other"), 400),
    _case(
        104,
        "TLS hello on plain port",
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(range(1, 190)),
        400,
        0,
        end=True,
    ),
    _case(105, "random bytes", bytes((n * 73 + 41) % 256 for n in range(500)), 400, 0, end=True),
    _case(106, "Expect: 100-continue", post(GOOD, "Expect: 100-continue"), 200),
    _case(107, "Expect: nonsense", post(GOOD, "Expect: nonsense"), 417, 200),
    _case(108, "Accept: text/html", post(GOOD, "Accept: text/html"), 200),
]

CASES = [
    *SOUND,
    *NOT_JSON,
    *NOT_THE_SCHEMA,
    *SIZE_AND_MEDIA,
    *METHODS_AND_PATHS,
    *FRAMING,
]
# What answers may never hold: how the service is made, or what the client sent.
NEVER = (b"Traceback", b"gunicorn", b"nginx", b"werkzeug", b"Werkzeug", b"<html", b"never seen")


def check_shape(case: Case, answer: RawAnswer) -> None:
    """Whoever answers, an error has the one shape, its pointer and header, and tells nothing."""
    assert not any(word in answer.body for word in NEVER)
    if answer.status >= 400 and answer.body:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status
        assert problem["title"]
        assert problem["detail"]
    if case.pointer is not None:
        assert answer.json()["pointer"] == case.pointer
    if case.header:
        assert case.header in answer.headers


# 414 for a long URI and 400 for a missing Host are the router's.
ROUTER_ONLY = frozenset({86, 102})
