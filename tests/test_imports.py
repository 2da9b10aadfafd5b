"""HABITS 8: importing a module has no effect; only the entries read, start or open anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent / "service"

# What is run as a program or loaded by gunicorn; to import it is to begin.
ENTRIES = {"slipway.__main__", "slipway.web.gunicorn_conf"}

# Imports the modules one after the other, in an environment without a variable, and tells what
# each of them did besides. An audit hook sees every socket and file, whichever library opens it.
PROGRAM = """
import importlib, json, os, sys, threading
sys.path[:0] = json.loads(sys.argv[1])
effects = []
NETWORK = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.exec"}
def watch(event, arguments):
    writes = event == "open" and set(str(arguments[1] or "")) & set("wax+")
    if event == "socket.bind" and arguments[1] == ("::1", 0):
        return  # urllib3 looks whether there is IPv6.
    if event in NETWORK or (writes and arguments[0] != os.devnull):
        effects.append((current, event, repr(arguments)))
        raise PermissionError(event)
current = ""
sys.addaudithook(watch)
for current in json.loads(sys.argv[2]):
    before = dict(os.environ), threading.active_count(), list(sys.argv)
    importlib.import_module(current)
    if (dict(os.environ), threading.active_count(), list(sys.argv)) != before:
        effects.append((current, "environment, threads or arguments", ""))
print(json.dumps(effects))
"""


def modules() -> list[str]:
    found = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "slipway").rglob("*.py")
    ]
    return sorted(name.removesuffix(".__init__") for name in found)


def test_the_entries_are_there() -> None:
    assert set(modules()) >= ENTRIES


def test_importing_a_module_reads_starts_and_opens_nothing() -> None:
    names = [name for name in modules() if name not in ENTRIES]
    told = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM, json.dumps(sys.path), json.dumps(names)],
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("\n") == 1, "a module prints when it is imported"
    assert json.loads(told.stdout) == []
