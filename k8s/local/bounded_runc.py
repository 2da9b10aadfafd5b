"""An OCI runtime before runc that asks for no capability which this machine holds back.

Docker gives a privileged container every capability that the kernel knows. Where the machine's
own root lacks one, runc refuses ("unable to apply caps"), and kind's nodes are privileged. So:
take from the container's specification what is not in our bounding set, then become runc. It
only ever asks for less.

This file is copied beside the engine's log and run on its own, once for every container that
starts: it imports little, and nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# By their number in linux/capability.h.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)


def held_back(status: str) -> set[str]:
    """The capabilities that `/proc/self/status` shows to be out of reach: `{"CAP_…"}`.

    A text without a bounding set (another kind of system) holds nothing back.
    """
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            bounding = int(line.split()[1], 16)
            missing = (n for n in range(len(CAPABILITIES)) if not bounding >> n & 1)
            return {f"CAP_{CAPABILITIES[number]}" for number in missing}
    return set()


def without(process: Mapping[str, object], missing: set[str]) -> dict[str, object]:
    """A process of an OCI specification whose capability sets lack the missing ones."""
    sets = process.get("capabilities")
    if not isinstance(sets, dict):
        return dict(process)
    lighter = {
        kind: [name for name in names if name not in missing] for kind, names in sets.items()
    }
    return {**process, "capabilities": lighter}


def option(arguments: list[str], *names: str) -> str | None:
    """The value of `--name value` or `--name=value`."""
    for place, argument in enumerate(arguments):
        if argument in names and place + 1 < len(arguments):
            return arguments[place + 1]
        for name in names:
            if argument.startswith(f"{name}="):
                return argument[len(name) + 1 :]
    return None


def edit(arguments: list[str], missing: set[str]) -> None:
    """Change the specification that this call of the runtime is about to use, if it has one."""
    if "create" in arguments or "run" in arguments:
        place = os.path.join(option(arguments, "--bundle", "-b") or ".", "config.json")  # noqa: PTH118
    elif "exec" in arguments:
        place = option(arguments, "--process", "-p") or ""
    else:
        return
    if not place:
        return
    with open(place) as file:  # noqa: PTH123 - pathlib would double the time to start
        document = json.load(file)
    if "exec" in arguments:
        document = without(document, missing)
    else:
        document["process"] = without(document["process"], missing)
    new = f"{place}.bounded"
    with open(new, "w") as file:  # noqa: PTH123
        json.dump(document, file)
    os.replace(new, place)  # noqa: PTH105


def main() -> None:
    """Edit, then become runc with the same arguments."""
    with open("/proc/self/status") as file:  # noqa: PTH123
        missing = held_back(file.read())
    if missing:
        edit(sys.argv[1:], missing)
    os.execvp("runc", ["runc", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
