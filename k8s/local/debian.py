"""Debian root file systems, from the packages that this machine's own apt sources give.

No address of a mirror, no proxy and no certificate is written down here, and none stays in what
is made: they are read from apt's settings and handed to mmdebstrap for the time of the build.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from k8s.local import archives, versions
from k8s.local.cache import key_of
from k8s.local.commands import ask
from k8s.local.context import Context
from k8s.local.errors import SetupFailed

SUITES = [versions.DEBIAN, f"{versions.DEBIAN}-updates", f"{versions.DEBIAN}-security"]
SOURCES = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Manuals and translations are a third of a small system; licences stay.
LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    # Every edition of the time zones' table, for pages that need the last one.
    "/usr/share/javascript/moment-timezone/data/unpacked/*",
)
KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
# How this machine reaches its packages, and how it got its name: not for an image.
OF_THIS_MACHINE = (
    "etc/apt/sources.list.d/* etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap "
    "etc/hostname etc/resolv.conf var/log/*.log var/log/apt var/cache/debconf/*-old"
)
# With /bin and /lib merged from the start, the package that would merge them (and perl, which it
# brings) is not needed.
MERGED = ("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "usr-is-merged")
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$")


@dataclass(frozen=True)
class RootFs:
    """A minimal Debian with these packages and what they depend on."""

    name: str
    packages: tuple[str, ...]

    @property
    def key(self) -> str:
        """Of all that decides it but Debian's own updates."""
        rules = [*LEFT_OUT, *KEPT, OF_THIS_MACHINE, *MERGED]
        return key_of([versions.DEBIAN, archives.architecture(), *self.packages, *rules])


# kube-proxy runs on it too, and needs all but the first: one layer for both.
PLAIN = RootFs("debian", ("ca-certificates", "conntrack", "iptables", "kmod"))
PYTHON = RootFs(
    "python",
    (
        "ca-certificates",
        "nginx-light",
        "python-is-python3",
        "python3",
        "python3-pip",
        "python3-venv",
    ),
)
PROMETHEUS = RootFs("prometheus", ("ca-certificates", "prometheus"))
NODE = RootFs(
    "node",
    (
        "ca-certificates",
        "conntrack",
        "containerd",
        "containernetworking-plugins",
        "curl",
        "dbus",
        "ebtables",
        "ethtool",
        "ipset",
        "iproute2",
        "iptables",
        "iputils-ping",
        "jq",
        "kmod",
        "libseccomp2",
        "mount",
        "procps",
        "runc",
        "socat",
        "systemd",
        "systemd-sysv",
        "util-linux",
    ),
)


def one_line_sources(text: str) -> Iterator[str]:
    """The lines of a `sources.list` that name a wanted suite, without their options."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match and match[2] in SUITES and "main" in match[3].split():
            yield f"deb [signed-by={KEYRING}] {match[1]} {match[2]} main"


def deb822_sources(text: str) -> Iterator[str]:
    """The same from a `*.sources` file: paragraphs of `Key: values`."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        fields = {name.strip().lower(): value.split() for name, value in pairs}
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        if "main" not in fields.get("components", []):
            continue
        for address in fields.get("uris", []):
            for suite in fields.get("suites", []):
                if suite in SUITES:
                    yield f"deb [signed-by={KEYRING}] {address} {suite} main"


def machine_sources(folder: Path = SOURCES) -> list[str]:
    """The machine's own sources of this Debian release, as lines; raises SetupFailed if none."""
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    found = [
        line for file in lists if file.is_file() for line in one_line_sources(file.read_text())
    ]
    for file in sorted((folder / "sources.list.d").glob("*.sources")):
        found += deb822_sources(file.read_text())
    if not any(f" {versions.DEBIAN} main" in line for line in found):
        raise SetupFailed(
            f"no apt source of Debian {versions.DEBIAN} on this machine",
            f"Images are made of Debian {versions.DEBIAN} packages: add its source to /etc/apt,\n"
            "or use a machine where an image registry answers.",
        )
    return list(dict.fromkeys(found))


def build_rootfs(ctx: Context, rootfs: RootFs) -> Path:
    """The root file system as a tar file; a stage of its own if it must be made."""
    target = ctx.cache.path("rootfs", rootfs.name, rootfs.key, ".tar")
    if not target.exists():
        with ctx.progress.stage(f"Debian for {rootfs.name}") as stage:
            sources = machine_sources()
            ensure_packages(ctx, {"mmdebstrap": "mmdebstrap"})
            with ctx.cache.making(target) as partial:
                _bootstrap(ctx, rootfs, sources, partial)
            stage.outcome = f"{target.stat().st_size / 1e6:.0f} MB"
    ctx.cache.prune(target, rootfs.name, ".tar")
    return target


def ensure_packages(ctx: Context, programs: dict[str, str]) -> None:
    """Install from apt what is missing, `{program: package}`; raises SetupFailed if it cannot."""
    missing = sorted({package for program, package in programs.items() if not which(program)})
    if not missing:
        return
    names = " ".join(missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        advice = f"Install it, as with: sudo apt-get install {names}"
        raise SetupFailed(f"missing on this machine: {names}", advice)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    ctx.runner.run(["apt-get", "update", "-q"], env=quiet)
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing]
    ctx.runner.run(install, env=quiet)


def which(program: str) -> str | None:
    """A program's path; also where only root's PATH would look."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")


def transport_settings(dump: str) -> Iterator[str]:
    """Of `apt-config dump` the lines on how packages are reached (proxies, certificates, dates)."""
    for line in dump.splitlines():
        if re.match(r"Acquire::(https?|Check-|Retries)", line) and '"' in line:
            yield line


def _bootstrap(ctx: Context, rootfs: RootFs, sources: Iterable[str], target: Path) -> None:
    work = ctx.cache.work("debian")
    (work / "sources.list").write_text("\n".join(sources) + "\n")
    settings = "\n".join(transport_settings(ask(["apt-config", "dump", "Acquire"]) or ""))
    (work / "apt.conf").write_text(settings + "\n")
    rules = [f"--dpkgopt=path-exclude={place}" for place in LEFT_OUT]
    rules += [f"--dpkgopt=path-include={place}" for place in KEPT]
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        MERGED[0],
        f"--include={','.join([MERGED[1], *rootfs.packages])}",
        f"--aptopt={work / 'apt.conf'}",
        *rules,
        f'--customize-hook=cd "$1" && rm -rf {OF_THIS_MACHINE}',
        versions.DEBIAN,
        str(target),
        str(work / "sources.list"),
    ]
    try:
        ctx.runner.run(command, env={"TMPDIR": os.fspath(work), "LC_ALL": "C.UTF-8"})
    finally:
        # A mirror's address may hold a password.
        (work / "sources.list").unlink()
        (work / "apt.conf").unlink()
