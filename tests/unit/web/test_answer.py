"""Answers without a transport: whose fault it is, what is told, counted and kept of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.in_process import CURSED_RIDE, EXAMPLE, RIDE, by_columns, loaded_for, series
from tests.stub_models import CURSED, RUN_ID, WRONG, loaded
from tests.unit.web.conftest import Lines

from slipway.errors import Malformed, TooLarge
from slipway.models.obtain import Loaded
from slipway.settings import ServeSettings, read_settings
from slipway.usecases.protocol import InputField
from slipway.usecases.rides import Rides
from slipway.web.answer import Outcome, Reply
from slipway.web.errors import http_problem
from slipway.web.service import Service

JSON = {"Content-Type": "application/json"}


def service_of(release: Loaded | None, **given: Any) -> Service:
    return Service(read_settings(ServeSettings, slot="blue", **given), release, example=EXAMPLE)


def ask(
    service: Service, document: Any, path: str = "/predict", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(document).encode()
    reply = service.answers.answer("POST", path, JSON | named, body)
    return reply.status, json.loads(reply.body), dict(reply.headers)


def test_R7_F19_one_ride_gets_its_answer_by_name_and_the_version_in_body_and_header() -> None:
    status, document, headers = ask(service_of(loaded()), RIDE)
    assert (status, document) == (200, {"duration": 80.0, "model_version": RUN_ID})
    assert (headers["X-Slipway-Run-Id"], headers["X-Slipway-Slot"]) == (RUN_ID, "blue")


def test_without_a_run_id_the_version_is_the_digests_beginning() -> None:
    _, document, headers = ask(service_of(loaded(run_id=None)), RIDE)
    assert document["model_version"] == headers["X-Slipway-Run-Id"] == "5e" * 6


def test_several_rows_get_a_list_and_mlflows_clients_get_mlflows_document() -> None:
    service = service_of(loaded())
    rows = {"instances": [RIDE, RIDE | {"trip_distance": 1}]}
    assert ask(service, rows)[1] == {"predictions": [80.0, 2.0], "model_version": RUN_ID}
    assert ask(service, rows, "/invocations")[1] == {"predictions": [80.0, 2.0]}


@pytest.mark.parametrize(
    ("document", "path", "pointer"),
    [
        (CURSED_RIDE, "/predict", ""),
        ({"instances": [CURSED_RIDE]}, "/predict", "/instances/0"),
        ({"instances": [RIDE, CURSED_RIDE, RIDE]}, "/predict", "/instances/1"),
        ({"dataframe_records": [RIDE, CURSED_RIDE]}, "/invocations", "/dataframe_records/1"),
    ],
)
@pytest.mark.parametrize("kind", WRONG)
def test_A9_A10_a_wrong_model_is_a_500_that_names_the_row_and_quotes_nothing(
    kind: str, document: Any, path: str, pointer: str, log_lines: Lines
) -> None:
    service = service_of(loaded(kind))
    status, problem, headers = ask(service, document, path)
    reason = "ModelFailed" if kind == "raises" else "ModelOutputInvalid"
    assert (status, problem["type"]) == (500, f"urn:slipway:{reason}")
    assert (problem["pointer"], problem["status"]) == (pointer, 500)
    assert ("error" in problem) == (path == "/invocations")
    (line,) = log_lines()
    assert (line["level"], line["reason"]) == ("error", reason)
    assert line["request_id"] == problem["request_id"] == headers["X-Request-Id"]
    for told in (json.dumps(problem), json.dumps(line)):
        assert "PU_DO" not in told
        assert str(CURSED) not in told
        assert "nan" not in told.lower()
    assert "Traceback" not in json.dumps(problem)


@pytest.mark.parametrize("kind", WRONG)
def test_A10_what_is_no_prediction_is_counted_as_500_and_kept_nowhere(kind: str) -> None:
    """The error gate must see it; the sample and the histogram must not."""
    service = service_of(loaded(kind))
    ask(service, {"instances": [RIDE, CURSED_RIDE]})
    counted = series(service)
    labels = 'code="500",release="5e5e5e5e5e5e",slot="blue",source="live"'
    assert counted[f"slipway_requests_total{{{labels}}}"] == 1.0
    assert not any(name.startswith("slipway_prediction_count") for name in counted)
    assert service.ring.after().rows == []
    assert ask(service, RIDE)[0] == 200


NO_LABELS: list[Any] = [
    None,
    float("nan"),
    float("inf"),
    1j,
    b"bytes",
    np.datetime64("2021-01-01"),
    {"a": 1},
    object(),
]


@pytest.mark.parametrize(
    "value",
    NO_LABELS,
    ids=[type(value).__name__ + str(place) for place, value in enumerate(NO_LABELS)],
)
@pytest.mark.parametrize("kind", [None, object])
def test_A10_where_labels_are_let_through_nothing_else_is(value: Any, kind: Any) -> None:
    """A None or a NaN among labels would be sent as JSON's null, with a 200."""

    def predict(features: Any) -> Any:
        return np.array([value] * len(features), dtype=kind)

    service = service_of(loaded_for(by_columns([InputField("x", "double")]), predict))
    status, problem, _ = ask(service, {"instances": [{"x": 1}, {"x": 2}]})
    assert (status, problem["type"]) == (500, "urn:slipway:ModelOutputInvalid")
    assert problem["pointer"] == "/instances/0"
    assert service.ring.after().rows == []


LABELS: list[tuple[Callable[[int], Any], Any]] = [
    (lambda count: ["yes"] * count, "yes"),
    (lambda count: np.array(["yes"] * count), "yes"),
    (lambda count: np.array([np.str_("yes")] * count, dtype=object), "yes"),
    (lambda count: np.array([np.int64(3)] * count, dtype=object), 3),
    (lambda count: np.array([True] * count), True),
    (lambda count: np.array([[0.25, 0.75]] * count), [0.25, 0.75]),
    (lambda count: np.array([["a", 1.5]] * count, dtype=object), ["a", 1.5]),
    (lambda count: np.array([2.5] * count, dtype=np.float32), 2.5),
]


@pytest.mark.parametrize(
    ("answer", "wanted"), LABELS, ids=[repr(w) + str(i) for i, (_, w) in enumerate(LABELS)]
)
def test_a_classifiers_labels_and_several_outputs_reach_the_client_and_the_sample(
    answer: Callable[[int], Any], wanted: Any
) -> None:
    use_case = by_columns([InputField("x", "double")])
    service = service_of(loaded_for(use_case, lambda features: answer(len(features))))
    assert ask(service, {"x": 1})[1]["prediction"] == wanted
    assert ask(service, {"instances": [{"x": 1}] * 2})[1]["predictions"] == [wanted] * 2
    assert [row[3] for row in service.ring.after().rows] == [wanted] * 3


def test_A9_the_log_tells_where_the_model_raised_not_where_we_noticed(log_lines: Lines) -> None:
    service = service_of(loaded("raises"))
    for document in (CURSED_RIDE, {"instances": [RIDE, CURSED_RIDE]}):
        ask(service, document)
        (line,) = log_lines()
        assert line["exception"].endswith("ValueError")
        assert "stub_models.py" in line["exception"]


def test_what_fails_in_our_own_code_is_a_500_without_a_word_of_the_request(
    log_lines: Lines,
) -> None:
    class Broken(Rides):
        def features(self, rows: Any) -> Any:
            raise RuntimeError(f"about {rows}")

    service = service_of(loaded_for(Broken()))
    status, problem, _ = ask(service, RIDE | {"PULocationID": "a user's own"})
    (line,) = log_lines()
    assert (status, problem["type"]) == (500, "about:blank")
    assert line["exception"].endswith("RuntimeError")
    for told in (json.dumps(problem), json.dumps(line)):
        assert "a user's own" not in told


def test_a_wrong_request_is_the_clients_and_the_service_serves_on(log_lines: Lines) -> None:
    service = service_of(loaded())
    status, problem, _ = ask(service, RIDE | {"PULocationID": None})
    (line,) = log_lines()
    assert (status, problem["pointer"]) == (422, "/PULocationID")
    assert (line["level"], line["reason"], line["detail"]) == (
        "info",
        "InvalidInput",
        problem["detail"],
    )
    assert "exception" not in line
    assert ask(service, RIDE)[0] == 200


def test_an_idle_slot_answers_503_and_when_to_ask_again(log_lines: Lines) -> None:
    service = service_of(None)
    status, problem, headers = ask(service, RIDE)
    assert (status, problem["type"]) == (503, "urn:slipway:NoModel")
    assert int(headers["Retry-After"]) > 0
    assert "X-Slipway-Run-Id" not in headers
    assert service.answers.answer("GET", "/model", {}, b"").status == 503
    assert [line["level"] for line in log_lines()] == ["warning"] * 2


@pytest.mark.parametrize(("error", "status"), [(TooLarge("x"), 413), (Malformed("x"), 400)])
def test_A7_a_body_that_was_not_read_whole_ends_the_connection(error: Any, status: int) -> None:
    """A7: what is left of it would be taken for the next request."""
    service = service_of(loaded())
    reply = service.answers.answer("POST", "/predict", JSON, error)
    assert reply.status == status
    assert ("Connection", "close") in reply.headers
    assert ("Connection", "close") not in service.answers.answer(
        "POST", "/predict", JSON, b""
    ).headers


def test_F66_F67_the_headers_of_the_router_decide_source_pair_and_key() -> None:
    service = service_of(loaded())
    ask(
        service,
        {"instances": [RIDE, RIDE]},
        X_Slipway_Source="shadow",
        X_Slipway_Pair="pair",
        X_Slipway_Key="user",
    )
    ask(service, RIDE, X_Slipway_Source="nonsense")
    first, second, third = service.ring.after().rows
    assert (first[0], first[2:]) == (second[0], second[2:])
    assert (first[1], second[1], third[1]) == (0, 1, 0)
    assert (first[3], first[4], third[4]) == (80.0, "shadow", "live")
    assert first[2] != 0 == third[2]
    counted = series(service)
    labels = 'release="5e5e5e5e5e5e",slot="blue",source="shadow"'
    assert counted[f"slipway_prediction_count{{{labels}}}"] == 2.0
    assert counted[f'slipway_requests_total{{code="200",{labels}}}'] == 1.0


def test_what_was_asked_for_by_nobody_is_in_flight_no_longer() -> None:
    service = service_of(loaded("raises"))
    for document in (RIDE, CURSED_RIDE, {}):
        ask(service, document)
    assert series(service)["slipway_in_flight"] == 0.0


def test_A16_a_request_is_one_line_that_tells_what_became_of_it(log_lines: Lines) -> None:
    reply: Reply = service_of(loaded()).answers.answer(
        "POST",
        "/predict",
        JSON | {"X-Request-Id": "r", "X-Slipway-Pair": "p"},
        json.dumps(RIDE).encode(),
    )
    (line,) = log_lines()
    assert line.pop("milliseconds") >= 0
    assert line.pop("time")
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "r",
        "method": "POST",
        "path": "/predict",
        "status": 200,
        "bytes": len(reply.body),
        "rows": 1,
        "run_id": RUN_ID,
        "slot": "blue",
        "source": "live",
        "pair": "p",
    }


def test_A16_a_path_of_a_megabyte_does_not_fill_the_log(log_lines: Lines) -> None:
    answers = service_of(loaded()).answers
    reply = answers.answer("X" * 10_000, "/" * 1_000_000, {}, b"")
    (line,) = log_lines()
    assert reply.status == 404
    assert len(json.dumps(line)) < 2_000


def test_answers_computed_elsewhere_are_dressed_the_same(log_lines: Lines) -> None:
    answers = service_of(loaded()).answers
    problem = answers.other("GET", "/x", {}, http_problem(404, "nothing here"))
    quiet = answers.other("GET", "/livez", {}, Outcome(200, b"{}"), quiet=True)
    assert json.loads(problem.body)["detail"] == "nothing here"
    assert dict(quiet.headers)["X-Slipway-Slot"] == "blue"
    assert [(line["level"], line.get("reason")) for line in log_lines()] == [
        ("info", "HTTP"),
        ("debug", None),
    ]


def test_the_model_is_described_as_it_was_loaded() -> None:
    service = service_of(loaded(), model_name="rides")
    document = json.loads(service.answers.answer("GET", "/model", {}, b"").body)
    assert document["name"] == "rides"
    assert (document["run_id"], document["model_version"]) == (RUN_ID, RUN_ID)
    assert [field["name"] for field in document["inputs"]] == list(RIDE)
    assert (document["answer"], document["use_case"]) == ("duration", "rides")
    assert document["example"] == RIDE
