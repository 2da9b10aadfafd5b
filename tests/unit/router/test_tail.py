"""Following a log: no line is lost or read twice, and the file stays small."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.router.tail import GRACE, Tail


class Writer:
    """nginx' side: holds the file open until it is told to open it anew."""

    def __init__(self, path: Path, closing: contextlib.ExitStack) -> None:
        self._path = path
        self._closing = closing
        self.reopen()

    def reopen(self) -> None:
        self.file = self._closing.enter_context(self._path.open("ab"))

    def write(self, text: str) -> None:
        self.file.write(text.encode())
        self.file.flush()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def closing() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def test_lines_come_once_and_only_when_they_are_finished(
    path: Path, closing: contextlib.ExitStack
) -> None:
    tail = Tail(path, lambda: None)
    closing.callback(tail.close)
    assert tail.lines() == []
    writer = Writer(path, closing)
    writer.write("a\nb")
    assert tail.lines() == ["a"]
    writer.write("c\n")
    assert tail.lines() == ["bc"]
    assert tail.lines() == []


def test_what_was_there_before_is_not_counted_again(
    path: Path, closing: contextlib.ExitStack
) -> None:
    writer = Writer(path, closing)
    writer.write("old\n")
    tail = Tail(path, lambda: None)
    closing.callback(tail.close)
    writer.write("new\n")
    assert tail.lines() == ["new"]


def test_a_file_over_its_limit_is_exchanged_and_no_line_is_lost(
    path: Path, closing: contextlib.ExitStack
) -> None:
    """A worker that has not yet opened the new file still writes into the old one."""
    now = [0.0]
    reopened: list[None] = []
    writer = Writer(path, closing)
    tail = Tail(path, lambda: reopened.append(None), max_bytes=10, clock=lambda: now[0])
    closing.callback(tail.close)
    writer.write("0123456789\n")
    assert tail.lines() == ["0123456789"]
    assert reopened
    assert not path.exists()
    writer.write("late\n")
    assert tail.lines() == ["late"]
    writer.reopen()
    writer.write("next\n")
    assert tail.lines() == ["next"]
    now[0] = GRACE
    writer.write("and another\n")
    assert tail.lines() == ["and another"]
    assert len(reopened) == 2


def test_bytes_that_are_no_text_do_not_stop_it(path: Path, closing: contextlib.ExitStack) -> None:
    tail = Tail(path, lambda: None)
    closing.callback(tail.close)
    with path.open("wb") as file:
        file.write(b"\xff\xfe\n")
    assert tail.lines() == ["\ufffd\ufffd"]
