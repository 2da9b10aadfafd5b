"""What the kernel says of processes."""

from __future__ import annotations

import subprocess

from tests.waiting import until

from slipway.router import processes


def test_a_group_is_its_living_members() -> None:
    started = subprocess.Popen(
        ["sh", "-c", "sleep 60 & sleep 60; true"], start_new_session=True, stdout=subprocess.PIPE
    )
    try:
        assert started.pid in processes.group(started.pid)
        # The kernel tells us of a program's start before it knows the command line.
        until(lambda: "sleep 60" in processes.title(started.pid), what="its title")
        started.kill()
        until(lambda: started.pid not in processes.group(started.pid), what="a dead one to be out")
    finally:
        subprocess.run(["pkill", "-KILL", "-g", str(started.pid)], check=False)
        started.communicate()
    assert processes.title(started.pid) == ""
    assert started.pid not in processes.group(started.pid)
