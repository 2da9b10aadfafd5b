"""Reading the machine's own apt sources and settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from k8s.local.debian import (
    KEYRING,
    RootFs,
    deb822_sources,
    machine_sources,
    one_line_sources,
    transport_settings,
)
from k8s.local.errors import SetupFailed

MAIN = f"deb [signed-by={KEYRING}] http://mirror.test/debian bookworm main"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("deb http://mirror.test/debian bookworm main contrib", [MAIN]),
        ("deb [arch=amd64 signed-by=/x.gpg] http://mirror.test/debian bookworm main", [MAIN]),
        ("  deb http://mirror.test/debian bookworm main  ", [MAIN]),
        ("deb-src http://mirror.test/debian bookworm main", []),
        ("# deb http://mirror.test/debian bookworm main", []),
        ("deb http://mirror.test/debian bookworm non-free", []),
        ("deb http://mirror.test/debian trixie main", []),
        ("deb https://packages.test/apt cloud-sdk-bookworm main", []),
        ("", []),
    ],
)
def test_only_this_debian_is_taken_from_a_list(line: str, found: list[str]) -> None:
    assert list(one_line_sources(line)) == found


DEB822 = """\
Types: deb deb-src
# Where it came from: a comment between the fields.
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib

Types: deb
URIs: https://other.test
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.test/debian
Suites: bookworm
Components: main
"""


def test_only_this_debian_is_taken_from_paragraphs() -> None:
    assert list(deb822_sources(DEB822)) == [
        MAIN,
        MAIN.replace("bookworm main", "bookworm-updates main"),
    ]


def test_a_machine_may_have_both_kinds_and_name_a_source_twice(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://mirror.test/debian bookworm main\n")
    (parts / "debian.sources").write_text(DEB822)
    (parts / "extra.list").write_text("deb http://mirror.test/debian bookworm main\n")
    assert machine_sources(tmp_path) == [
        MAIN,
        MAIN.replace("bookworm main", "bookworm-updates main"),
    ]


def test_a_machine_without_this_debian_is_told_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.test/debian trixie main\n")
    with pytest.raises(SetupFailed, match="no apt source of Debian bookworm") as failure:
        machine_sources(tmp_path)
    assert "/etc/apt" in failure.value.advice


def test_of_apts_settings_those_on_the_way_to_packages_are_handed_on() -> None:
    dump = (
        'Acquire "";\n'
        'Acquire::http "";\n'
        'Acquire::http::Proxy "http://proxy.test:3128";\n'
        'Acquire::https::CaInfo "/etc/ssl/own.pem";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::Languages "none";\n'
        'Acquire::cdrom::mount "/media";\n'
        "Acquire::https::Broken\n"
    )
    assert list(transport_settings(dump)) == [
        'Acquire::http "";',
        'Acquire::http::Proxy "http://proxy.test:3128";',
        'Acquire::https::CaInfo "/etc/ssl/own.pem";',
        'Acquire::Check-Valid-Until "false";',
    ]


def test_another_package_is_another_root_file_system() -> None:
    assert RootFs("x", ("bash",)).key != RootFs("x", ("bash", "curl")).key
