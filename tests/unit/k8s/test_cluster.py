"""The command line of the local cluster."""

from __future__ import annotations

import subprocess

import pytest
from k8s.cluster import exports, main


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["load"], ["up", "slipway:dev"]])
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(arguments)
    assert refusal.value.code == 2


def test_variables_are_quoted_for_a_shell() -> None:
    lines = exports({"KUBECONFIG": "/a b/$c", "SLIPWAY_BIN": "/cache/bin"})
    script = "; ".join([*lines, 'echo "$KUBECONFIG"; echo "$PATH"'])
    answer = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": "/bin"}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split("\n") == ["/a b/$c", "/cache/bin:/bin", ""]
