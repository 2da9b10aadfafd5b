"""What both configurations share: folders that nginx can work in, problems, what is asked of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from slipway.errors import InvalidConfig
from slipway.router.nginx_conf import Layout, Problem, finished, problem_maps


def test_every_path_lies_in_the_folder_and_no_two_are_the_same() -> None:
    layout = Layout("/run/x")
    paths = [layout.saved]
    for part in (
        layout.conf,
        layout.pid,
        layout.socket,
        layout.status_socket,
        layout.access_log,
        layout.error_log,
    ):
        paths += [part("front"), part("route")]
    assert len(set(paths)) == 13
    assert all(Path(path).parent == Path("/run/x") for path in paths)


def test_a_folder_too_long_for_a_socket_is_refused_with_the_numbers() -> None:
    """A path of 122 characters cannot be bound; nginx would say so much later."""
    Layout("/run/" + "x" * 80)
    with pytest.raises(InvalidConfig, match=r"122 characters long, and 107"):
        Layout("/" + "x" * (122 - 1 - len("/front-s.sock")))


@pytest.mark.parametrize("folder", ["/with space", "/with;semicolon", "/with$variable", "/a{b}"])
def test_a_folder_that_means_something_to_nginx_is_refused(folder: str) -> None:
    with pytest.raises(InvalidConfig, match="cannot work in a folder"):
        Layout(folder)


def test_a_problems_body_is_JSON_and_has_error_on_the_paths_that_want_it() -> None:
    maps = problem_maps([Problem(404, "Not Found", "nothing is here", "kind")])
    assert "map $request_uri $problem_404_kind {" in maps
    default, regex, special = re.findall(r"'(\{.*?\})'|\"~(.*?)\"", maps)
    plain = json.loads(default[0])
    assert plain["status"] == 404
    assert plain["request_id"] == "$slipway_quotable_id"
    assert json.loads(special[0]) == plain | {"error": plain["detail"]}
    for path, wanted in (("/v2/models/x/infer", True), ("/invocations?a=1", True), ("/v2x", False)):
        assert bool(re.search(regex[1], path)) is wanted


def test_what_nginx_says_changes_with_every_letter_of_the_configuration() -> None:
    one, two = (finished(text, "route", Layout("/x"), 7) for text in ("a", "b"))
    assert one.said != two.said
    assert one.said.startswith("7 ")
    assert f'return 200 "{one.said}"' in one.text
