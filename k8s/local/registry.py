"""Finds out whether images can be pulled, by pulling a very small one."""

from __future__ import annotations

import subprocess

from k8s.local import versions
from k8s.local.commands import ask
from k8s.local.context import Context
from k8s.local.errors import SetupFailed

PULL_SECONDS = 20.0
CHOICES = ("auto", "none")


def registry_answers(ctx: Context, choice: str) -> bool:
    """Whether to pull images; `choice` is what the person set as REGISTRY.

    The engine is asked, not the network from here: it may have a proxy or a mirror of its own.
    """
    if choice not in CHOICES:
        advice = "Leave it out to find out by a small pull, or set none to build everything here."
        raise SetupFailed(f"REGISTRY is {choice!r}: neither auto nor none", advice)
    if choice == "none":
        return False
    with ctx.progress.stage("Image registry") as stage:
        command = ["docker", "pull", "-q", versions.REGISTRY_PROBE]
        answers = _ends_well(ctx, command)
        if answers:
            ask(["docker", "rmi", versions.REGISTRY_PROBE])
        stage.outcome = "answers" if answers else "none answers: building everything"
    return answers


def _ends_well(ctx: Context, command: list[str]) -> bool:
    with ctx.progress.log.open("ab") as log:
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=PULL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return ended.returncode == 0
