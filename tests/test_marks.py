"""Which tests wait for `make up`: those that use what it brings, and no others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Modules that give a test something of `make up`.
PLATFORM = frozenset(
    {
        "tests.chart_render",
        "tests.containers",
        "tests.kind_installation",
        "tests.kind_server",
        "tests.kube_apiserver",
        "tests.programs",
    }
)


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: str(path.relative_to(TESTS))
)
def test_a_module_has_the_mark_platform_if_it_uses_what_make_up_brings(path: Path) -> None:
    text = path.read_text()
    imported = {
        node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)
    }
    assert ("mark.platform" in text) == bool(imported & PLATFORM)
