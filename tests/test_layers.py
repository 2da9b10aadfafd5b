"""Who may import whom, and which modules are pure: the design's layers as a test (HABITS 5).

An import is judged wherever it stands, at the top of a module or inside a function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "service" / "slipway"
TOP = {"buckets", "errors", "settings", "variables", "logs", "metrics", "status_server"}

# package -> what of slipway it may import besides itself.
ALLOWED = {
    "cli": TOP
    | {"batch", "clients", "cluster", "examples", "models", "rollout", "router", "scoring"}
    | {"stream", "usecases", "web"},
    "examples": TOP | {"batch", "clients", "models", "scoring", "usecases"},
    "web": TOP | {"clients", "cluster", "models", "scoring", "usecases"},
    "batch": TOP | {"clients", "cluster", "models", "scoring", "usecases"},
    "stream": TOP | {"clients", "cluster", "models", "scoring", "usecases"},
    "router": TOP | {"clients", "cluster", "models", "scoring", "usecases"},
    # Of the router only its table: the controller writes what the agent reads.
    "rollout": TOP | {"clients", "cluster", "models", "router", "scoring", "usecases"},
    "models": TOP | {"clients", "scoring", "usecases"},
    "scoring": {"errors", "usecases"},
    "usecases": {"errors"},
    "clients": {"errors", "settings"},
    "cluster": {"errors", "settings"},
    "__main__": {"cli"},
    "errors": set(),
    "settings": {"errors", "variables"},
    "variables": {"errors"},
    "logs": {"errors", "settings"},
    "metrics": {"buckets", "errors", "settings"},
    "buckets": set(),
    "status_server": {"errors"},
}

PURE = [
    "errors.py",
    "usecases/protocol.py",
    "usecases/rides.py",
    "usecases/tabular.py",
    *(f"scoring/{n}.py" for n in ("encoding", "forms", "linear", "scorer", "steps", "trees")),
    "models/reference.py",
    "models/release.py",
    "models/mlmodel.py",
    "models/trusted_types.py",
    "batch/forms.py",
    "batch/indexed_job.py",
    "batch/plan.py",
    "batch/shards.py",
    "cluster/lease.py",
    "cluster/protocol.py",
    "cluster/workloads.py",
    "clients/streams.py",
    "stream/processor.py",
    "stream/scoring.py",
    "stream/shares.py",
    "buckets.py",
    *(
        f"rollout/{name}.py"
        for name in (
            "betting",
            "clocks",
            "collect",
            "conditions",
            "decide",
            "figures",
            "gate_answers",
            "gate_errors",
            "gate_latency",
            "gates",
            "groups",
            "history",
            "inputs",
            "limits",
            "measurement",
            "measures",
            "mixture",
            "moments",
            "moves",
            "needs",
            "pairing",
            "phases",
            "plan",
            "policy",
            "policy_document",
            "quantiles",
            "readiness",
            "readings",
            "reasons",
            "rebuild",
            "samples",
            "simulate",
            "simulated_place",
            "situation",
            "snapshot",
            "start",
            "state",
            "state_document",
            "status",
            "summary",
            "totals",
            "traffic",
            "verbs",
            "verdict",
            "web_switch",
            "wishes",
        )
    ),
    "router/access_log.py",
    "router/choice.py",
    "router/front_conf.py",
    "router/nginx_conf.py",
    "router/pairs.py",
    "router/route_conf.py",
    "router/table.py",
    "router/wanted.py",
]
PURE_LIBRARIES = {"numpy", "msgspec", "yaml", "pandas", "pyarrow"}
PURE_STANDARD = {
    "__future__", "ast", "calendar", "collections", "contextlib", "copy", "dataclasses", "datetime",
    "enum", "functools", "hashlib", "itertools", "json", "math", "operator", "pathlib", "re",
    "difflib", "string", "types", "typing", "urllib", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"now", "today", "utcnow", "open", "getenv", "urlopen", "uuid1", "uuid4"}

IO_LIBRARIES = {"boto3", "botocore", "kubernetes", "mlflow", "requests"}
MAY_DO_IO = ("clients/", "cluster/kube_api.py", "models/load.py", "examples/")

MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def imports(module: str) -> Iterator[str]:
    """The full names that a module imports."""
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield (
                f"{node.module}.{node.names[0].name}"
                if node.module in ("slipway", "os")
                else str(node.module)
            )


def part_of(module: str) -> str:
    """`models/load.py` -> `models`, `errors.py` -> `errors`."""
    return module.split("/", maxsplit=1)[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_layer_and_the_ones_below(module: str) -> None:
    part = part_of(module)
    if part == "__init__":
        return
    seen = {name.split(".")[1] for name in imports(module) if name.startswith("slipway.")}
    assert seen <= ALLOWED[part] | {part}


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_knows_no_clock_environment_file_or_socket(module: str) -> None:
    outside = {name.split(".")[0] for name in imports(module)} - {"slipway"}
    assert outside <= PURE_STANDARD | PURE_LIBRARIES
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Call)
    }
    assert not called & IMPURE_CALLS


@pytest.mark.parametrize("module", MODULES)
def test_io_libraries_are_imported_by_the_clients_only(module: str) -> None:
    if not module.startswith(MAY_DO_IO):
        assert not {name.split(".")[0] for name in imports(module)} & IO_LIBRARIES


@pytest.mark.parametrize("module", MODULES)
def test_the_environment_is_read_in_entry_modules_only(module: str) -> None:
    # variables.py is what reads settings, which entry modules alone ask for (below).
    entries = ("cli/", "web/wsgi.py", "web/gunicorn_conf.py", "examples/demo.py", "variables.py")
    # A WSGI request has an `environ` too, so the module's name counts.
    read = {
        f"os.{node.attr}"
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    } | {name for name in imports(module) if name == "os.environ"}
    assert module.startswith(entries) or not read & {"os.environ", "os.getenv", "os.putenv"}


@pytest.mark.parametrize("module", MODULES)
def test_settings_are_read_in_entry_modules_only(module: str) -> None:
    entries = ("cli/", "web/wsgi.py", "web/gunicorn_conf.py", "stream/lambda_handler.py")
    called = {
        getattr(node.func, "attr", getattr(node.func, "id", ""))
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Call)
    }
    assert "read_settings" not in called or module.startswith(entries)


def test_the_ride_features_have_one_home() -> None:
    """R47: one feature function, in one file."""
    homes = [module for module in MODULES if '"PU_DO"' in (ROOT / module).read_text()]
    assert homes == ["usecases/rides.py"]


def test_nothing_of_a_place_is_written_into_the_code() -> None:
    """R18: no bucket, host, experiment or run id in code; all of it comes from settings."""
    for module in MODULES:
        text = (ROOT / module).read_text()
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                continue
            hard_coded = node.value.startswith(("s3://", "http://", "https://"))
            places = node.value.removeprefix("http://").removeprefix("https://")
            allowed = places in ("", "s3://") or places.startswith(("127.0.0.1", "{"))
            assert not hard_coded or allowed, f"{module}: {node.value!r}"
