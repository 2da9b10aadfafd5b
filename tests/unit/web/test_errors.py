"""HABITS 7: one table from errors to answers, one shape of an error's body."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import errors
from slipway.cli.exits import exit_code
from slipway.web.errors import INTERNAL, http_problem, problem_of, status_of

# Each error's status, title and exit code. Whoever adds an error decides here on all of them:
# 5xx is what the error gate of a rollout counts.
TABLE: dict[type[errors.SlipwayError], tuple[int, str, int]] = {
    errors.SlipwayError: (500, "Internal error", 1),
    errors.InvalidConfig: (500, "Internal error", 2),
    errors.InvalidInput: (422, "The request does not fit the model's input", 1),
    errors.Malformed: (400, "The request cannot be read", 1),
    errors.TooLarge: (413, "The request is too large", 1),
    errors.UnsupportedMedia: (415, "The media type is not supported", 1),
    errors.NoModel: (503, "No model is loaded", 1),
    errors.Busy: (503, "The service is busy", 1),
    errors.ModelFailed: (500, "The model failed", 1),
    errors.ModelOutputInvalid: (500, "The model's answer is no prediction", 1),
    errors.Unresolvable: (500, "Internal error", 3),
    errors.ArtifactMissing: (500, "Internal error", 3),
    errors.DigestMismatch: (500, "Internal error", 1),
    errors.Untrusted: (500, "Internal error", 1),
    errors.VersionMismatch: (500, "Internal error", 1),
    errors.Unsigned: (500, "Internal error", 1),
    errors.InputDataInvalid: (500, "Internal error", 1),
    errors.InputDataMissing: (500, "Internal error", 3),
    errors.NotInstalled: (500, "Internal error", 3),
    errors.TimedOut: (500, "Internal error", 4),
    errors.RolloutAborted: (500, "Internal error", 5),
    errors.RequestRefused: (500, "Internal error", 1),
    errors.Conflict: (500, "Internal error", 75),
    errors.Unavailable: (503, "A service behind this one is not available", 75),
    errors.AccessDenied: (503, "A service behind this one is not available", 1),
    errors.Throttled: (503, "A service behind this one is not available", 75),
    errors.IteratorExpired: (503, "A service behind this one is not available", 75),
}


def subclasses(kind: type[errors.SlipwayError]) -> set[type[errors.SlipwayError]]:
    return {kind}.union(*(subclasses(below) for below in kind.__subclasses__()))


def test_every_error_of_the_tree_is_decided_on() -> None:
    assert subclasses(errors.SlipwayError) == set(TABLE)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_an_error_has_its_status_title_and_exit_code(kind: type[errors.SlipwayError]) -> None:
    error = kind("what went wrong")
    status, title, code = TABLE[kind]
    assert status_of(error) == (status, title)
    assert exit_code(error) == code
    problem = problem_of(error)
    assert (problem.status, problem.detail, problem.reason) == (status, error.message, kind.reason)


def test_the_core_knows_no_transport() -> None:
    assert errors.__file__
    text = Path(errors.__file__).read_text().lower()
    for word in ("http", "flask", "status_code"):
        assert word not in text


def test_the_body_is_a_problem_document() -> None:
    error = errors.InvalidInput("x: must be finite", "/instances/0/x")
    document = {
        "type": "urn:slipway:InvalidInput",
        "title": "The request does not fit the model's input",
        "status": 422,
        "detail": "x: must be finite",
        "pointer": "/instances/0/x",
        "request_id": "r",
    }
    assert json.loads(problem_of(error).body("r")) == document
    with_error = json.loads(problem_of(error).body("r", with_error=True))
    assert with_error == document | {"error": "x: must be finite"}


def test_a_pointer_to_the_whole_body_is_not_the_same_as_none() -> None:
    """RFC 6901: the empty pointer is the whole document."""
    assert json.loads(problem_of(errors.InvalidInput("x")).body("r"))["pointer"] == ""
    for problem in (problem_of(errors.NoModel("x")), http_problem(404, "x"), INTERNAL):
        assert "pointer" not in json.loads(problem.body("r"))


def test_plain_http_is_about_blank_and_titled_as_the_status() -> None:
    """RFC 9457, 4.2.1."""
    document = json.loads(http_problem(405, "no").body("r"))
    assert (document["type"], document["title"]) == ("about:blank", "Method Not Allowed")


def test_what_fails_in_our_own_code_has_the_same_shape() -> None:
    assert (INTERNAL.status, INTERNAL.title) == status_of(errors.SlipwayError("x"))
