"""`front`: what is passed on, and that limits are those given. (Golden: test_route_conf)"""

from __future__ import annotations

import re

from slipway.router.front_conf import render_front
from slipway.router.nginx_conf import Layout, Limits

TEXT = render_front(Layout("/x"), Limits(body_bytes=5000, client_seconds=7), "[::1]:80").text


def test_limits_and_address_are_those_given() -> None:
    assert "listen [::1]:80 " in TEXT
    assert "client_max_body_size 5000;" in TEXT
    assert "larger than 5000 bytes" in TEXT
    assert TEXT.count(" 7s;") == 2


def test_only_the_api_is_passed_on() -> None:
    passed = re.findall(r"location (.*?) \{ recursive_error_pages on; .* proxy_pass", TEXT)
    assert passed == [
        "= /predict",
        "= /invocations",
        "= /model",
        "= /v2",
        "^~ /v2/",
        "= /openapi.json",
        "= /docs",
    ]


def test_every_error_of_nginxs_own_has_an_answer_of_ours() -> None:
    pages = re.findall(r"error_page (\d+) = (/\S+);", TEXT)
    assert len(pages) == 13
    for _code, place in pages:
        assert f"location = {place} {{" in TEXT
