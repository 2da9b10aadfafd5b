"""A simulated rollout as a PNG picture, with nothing but numpy and zlib.

Each gate's interval is drawn in units of what is allowed: 0 is "no difference", 1 is the limit.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slipway.rollout.policy import WHOLE
from slipway.rollout.simulate import Look
from slipway.rollout.verdict import Verdict

Colour = tuple[int, int, int]
WHITE, BLACK, GREY = (255, 255, 255), (30, 30, 30), (215, 215, 215)
BLUE, LIGHT, RED, GREEN = (30, 90, 160), (190, 212, 238), (190, 40, 40), (40, 140, 70)
WIDTH, LEFT, PANEL, GAP = 1000, 150, 90, 14
# Of what is allowed, from the bottom of a panel to its top.
LOWEST, HIGHEST = -1.5, 2.5

# Three by five dots for each letter, a row after the other.
_FONT = {
    "a": 0o25755, "b": 0o65656, "c": 0o34443, "d": 0o65556, "e": 0o74647, "f": 0o74644,
    "g": 0o34553, "h": 0o55755, "i": 0o72227, "j": 0o11152, "k": 0o55655, "l": 0o44447,
    "m": 0o57555, "n": 0o65555, "o": 0o25552, "p": 0o65644, "q": 0o25563, "r": 0o65655,
    "s": 0o34216, "t": 0o72222, "u": 0o55557, "v": 0o55552, "w": 0o55575, "x": 0o55255,
    "y": 0o55222, "z": 0o71247, "0": 0o75557, "1": 0o26227, "2": 0o61247, "3": 0o61216,
    "4": 0o55711, "5": 0o74616, "6": 0o34652, "7": 0o71122, "8": 0o25252, "9": 0o25316,
    "%": 0o51245, ".": 0o00002, "-": 0o00700, "=": 0o07070,
}  # fmt: skip


class Canvas:
    """Dots to draw on, from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.dots: NDArray[np.uint8] = np.full((height, width, 3), 255, dtype=np.uint8)

    def box(self, x: tuple[float, float], y: tuple[float, float], colour: Colour) -> None:
        """Fill a box; at least one dot each way."""
        left, right = sorted((round(x[0]), round(x[1])))
        top, bottom = sorted((round(y[0]), round(y[1])))
        self.dots[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = colour

    def text(self, x: int, y: int, words: str, colour: Colour = BLACK) -> None:
        """Small letters, two dots for each of the font's."""
        for letter in words.lower():
            rows = _FONT.get(letter, 0)
            for dot in range(15):
                if rows >> (14 - dot) & 1:
                    left, top = x + dot % 3 * 2, y + dot // 3 * 2
                    self.box((left, left + 1), (top, top + 1), colour)
            x += 8

    def png(self) -> bytes:
        """The picture as a file (W3C PNG, 8 bits, RGB)."""
        height, width, _ = self.dots.shape
        rows = np.concatenate([np.zeros((height, 1), np.uint8), self.dots.reshape(height, -1)], 1)
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(_part(*part) for part in parts)


def _part(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def draw(looks: Sequence[Look]) -> bytes:
    """The weight above, a panel for each gate below; raises ValueError for no look."""
    if not looks:
        raise ValueError("there is nothing to draw")
    gates = list(dict.fromkeys(v.gate for look in looks for v in look.verdicts))
    canvas = Canvas(WIDTH, (len(gates) + 1) * (PANEL + GAP) + 2 * GAP)
    end = looks[-1].seconds
    _weights(canvas, looks, end)
    for row, gate in enumerate(gates, 1):
        _gate(canvas, GAP + row * (PANEL + GAP), looks, gate, end)
    minutes = f"{end / 60:.0f} min"
    canvas.text(WIDTH - 8 * len(minutes) - 4, canvas.dots.shape[0] - GAP, minutes)
    return canvas.png()


def _x(seconds: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - 5) * seconds / end


def _spans(looks: Sequence[Look]) -> list[tuple[float, Look]]:
    starts = [0.0, *(look.seconds for look in looks[:-1])]
    return list(zip(starts, looks, strict=True))


def _weights(canvas: Canvas, looks: Sequence[Look], end: float) -> None:
    canvas.text(4, GAP, "weight")
    canvas.box((LEFT, WIDTH - 5), (GAP + PANEL, GAP + PANEL), GREY)
    for start, look in _spans(looks):
        weight = WHOLE if look.step == "watch" else look.weight
        top = GAP + PANEL * (1 - weight / WHOLE)
        colour = GREEN if look.step == "watch" else BLUE
        canvas.box((_x(start, end), _x(look.seconds, end)), (top, GAP + PANEL), colour)


def _gate(canvas: Canvas, top: int, looks: Sequence[Look], gate: str, end: float) -> None:
    canvas.text(4, top, gate)
    for value, colour in ((0.0, GREY), (1.0, RED)):
        canvas.box((LEFT, WIDTH - 5), (_y(top, value), _y(top, value)), colour)
    for start, look in _spans(looks):
        verdict = next((v for v in look.verdicts if v.gate == gate), None)
        if verdict is None:
            continue
        ends = [allowed(verdict, value) for value in (verdict.lower, verdict.upper)]
        x = _x(start, end), _x(look.seconds, end) - 1
        if None not in ends:
            low, high = sorted(e for e in ends if e is not None)
            canvas.box(x, (_y(top, low), _y(top, high)), LIGHT)
        middle = allowed(verdict, verdict.estimate)
        if middle is not None:
            colour = {"PASS": GREEN, "FAIL": RED}.get(verdict.outcome, BLUE)
            canvas.box(x, (_y(top, middle) - 1, _y(top, middle)), colour)


def _y(top: int, value: float) -> float:
    inside = min(max(value, LOWEST), HIGHEST)
    return top + PANEL * (HIGHEST - inside) / (HIGHEST - LOWEST)


def allowed(verdict: Verdict, value: float | None) -> float | None:
    """A value of a gate in units of what it allows."""
    limit = verdict.limit
    if value is None or not limit:
        return None
    if verdict.gate == "latency":
        return math.log(value) / math.log(limit) if value > 0 and limit > 1 else None
    if verdict.gate == "correlation" and limit < 1:
        return (1 - value) / (1 - limit)
    return value / limit
