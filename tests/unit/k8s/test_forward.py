"""A way to a Service leads to somebody who answers, or is begun anew."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from k8s.local import port_forward
from k8s.local.cache import Cache
from k8s.local.commands import Runner
from k8s.local.context import Context
from k8s.local.dependencies import Kubectl
from k8s.local.errors import SetupFailed
from k8s.local.progress import Progress
from tests.service_process import get

# In kubectl's place: what each of its starts does stands in a file, a line a start.
STAND_IN = """#!{python}
import http.server, pathlib, socket, sys, time
plan = pathlib.Path({plan!r})
step, *rest = plan.read_text().splitlines()
plan.write_text("\\n".join(rest))
port = int(sys.argv[-1].partition(":")[0])
if step == "ends":
    sys.exit("lost connection to pod")
if step == "cut":
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            listener.accept()[0].close()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(int(step))
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    program = tmp_path / "kubectl"
    program.write_text(STAND_IN.format(python=sys.executable, plan=f"{tmp_path}/plan"))
    program.chmod(0o755)
    progress = Progress(tmp_path / "log", io.StringIO())
    context = Context(tmp_path, Cache(tmp_path), progress, Runner(progress.log))
    return Kubectl(context, program)


def plan(kubectl: Kubectl, *steps: str) -> Path:
    """What the starts to come will do."""
    found = kubectl.ctx.folder / "plan"
    found.write_text("\n".join(steps))
    return found


@pytest.mark.parametrize("status", ["200", "404", "503"])
def test_any_answer_means_that_somebody_is_there(kubectl: Kubectl, status: str) -> None:
    left = plan(kubectl, status, "never reached")
    with kubectl.forward("mlflow", 5000) as address:
        assert address.startswith("http://127.0.0.1:")
    assert left.read_text() == "never reached"


def test_a_forward_that_leads_nowhere_is_begun_anew(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What kubectl does with a pod that the API server takes for running, and that is gone."""
    monkeypatch.setattr(port_forward, "ANSWER_SECONDS", 2.0)
    left = plan(kubectl, "ends", "cut", "404")
    with kubectl.forward("mlflow", 5000) as address:
        assert get(address)[0] == 404
    assert left.read_text() == ""


def test_one_that_never_answers_is_told_with_what_to_look_at(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "FORWARD_SECONDS", 1.0)
    plan(kubectl, *["ends"] * 100)
    with pytest.raises(SetupFailed, match="service/mlflow does not answer") as told:
        kubectl.forward("mlflow", 5000).__enter__()
    assert "get pods" in told.value.advice
