"""What the kernel says of processes."""

from __future__ import annotations

import subprocess

from slipway.router import processes


def test_a_group_is_its_living_members() -> None:
    started = subprocess.Popen(
        ["sh", "-c", "sleep 60 & sleep 60; true"], start_new_session=True, stdout=subprocess.PIPE
    )
    try:
        assert started.pid in processes.group(started.pid)
        assert "sleep 60" in processes.title(started.pid)
    finally:
        subprocess.run(["pkill", "-KILL", "-g", str(started.pid)], check=False)
        started.communicate()
    assert processes.title(started.pid) == ""
    assert started.pid not in processes.group(started.pid)
