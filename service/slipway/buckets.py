"""The edges of the latency histograms: what pods and router count by and the gates compare. Pure.

0.5 ms to 60 s. The factor is the cube root of 1.5, so that the latency gate's limit of 1.5 is
three buckets exactly and a verdict never hangs on where an edge lies.
"""

from __future__ import annotations

LATENCY_GROWTH: float = 1.5 ** (1 / 3)
LATENCY_BUCKETS: tuple[float, ...] = tuple(0.0005 * 1.5 ** (k / 3) for k in range(87))
