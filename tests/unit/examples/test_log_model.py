from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InvalidConfig
from slipway.examples.log_model import (
    EDGES,
    check_server,
    dict_form,
    histogram_edges,
    lineage,
    metadata_of,
    onehot_form,
    summary,
)

MINUTES = np.random.default_rng(0).gamma(4.0, 3.5, 5_000)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_histogram_edges_rise_strictly_and_stay_near_the_predictions(values: list[float]) -> None:
    edges = histogram_edges(np.array(values))
    assert 1 <= len(edges) <= EDGES
    assert all(low < high for low, high in itertools.pairwise(edges))
    room = 0.01 * (max(values) - min(values)) + 1e-6
    assert min(values) - room <= edges[0]
    assert edges[-1] <= max(values) + room


def test_edges_share_the_predictions_equally_and_can_be_read() -> None:
    edges = histogram_edges(MINUTES)
    counts, _ = np.histogram(MINUTES, [-np.inf, *edges, np.inf])
    assert len(edges) == EDGES
    np.testing.assert_allclose(counts / len(MINUTES), 1 / (EDGES + 1), atol=0.004)
    assert all(len(str(edge)) <= 5 for edge in edges)


@pytest.mark.parametrize(
    ("values", "edges"),
    [([7.25] * 9, [7.25]), ([0.0] * 99 + [8.0], [0.0]), ([-0.0, 0.0], [0.0])],
    ids=["all the same", "all but one", "two zeros"],
)
def test_equal_predictions_make_one_edge(values: list[float], edges: list[float]) -> None:
    assert histogram_edges(np.array(values)) == edges


def test_the_summary_describes_the_sample() -> None:
    found = summary(MINUTES)
    assert found["count"] == 5_000
    assert found["mean"] == pytest.approx(14.0, rel=0.02)
    assert found["quantiles"]["0.5"] == pytest.approx(float(np.median(MINUTES)), rel=1e-5)


def test_the_metadata_say_what_serves_the_model_and_survive_yaml() -> None:
    known = metadata_of(dict_form("tip"), MINUTES)
    assert yaml.safe_load(yaml.safe_dump(known)) == known
    assert (known["use_case"], known["answer"]) == ("rides", "tip")
    assert [field["name"] for field in known["inputs"]] == [
        "PULocationID",
        "DOLocationID",
        "trip_distance",
    ]
    twin = metadata_of(onehot_form(), MINUTES)
    assert (twin["use_case"], twin["answer"]) == ("tabular", "prediction")
    assert twin["inputs"] == [
        {"name": "PU_DO", "type": "string"},
        {"name": "trip_distance", "type": "double"},
    ]


def test_lineage_names_data_libraries_and_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    outside = lineage("abc")
    assert outside["slipway.data_sha256"] == "abc"
    assert outside["slipway.scikit-learn"].count(".") == 2
    assert "slipway.git_commit" not in outside

    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    commit = lineage("abc")["slipway.git_commit"]
    assert len(commit) == 40

    Path("new").write_text("x")
    subprocess.run(["git", "add", "new"], check=True)
    assert lineage("abc")["slipway.git_commit"] == f"{commit}-dirty"


@pytest.mark.parametrize("uri", ["", "mlruns", "sqlite:///mlflow.db", "databricks"])
def test_training_needs_a_server_and_says_how_to_name_it(uri: str) -> None:
    with pytest.raises(InvalidConfig, match="MLFLOW_TRACKING_URI"):
        check_server(uri, "ride-duration", 1.0)
