"""Half-widths and tests that hold at every look, from mixtures of likelihoods. Pure."""

from __future__ import annotations

import math

# The sample size for which the normal mixture is tuned: early verdicts matter most here.
TUNED_FOR = 100.0
# How strongly the split of the requests is believed in, in requests.
_SPLIT_PRIOR = 100.0


def half_width(deviation: float, count: float, level: float) -> float:
    """Of a confidence sequence for the mean of `count` terms with this standard deviation.

    Robbins' normal mixture, with the variance estimated (Robbins 1970; asymptotic validity:
    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024). One-sided level.
    """
    if count <= 0:
        return math.inf
    m = TUNED_FOR
    return (
        deviation
        * math.sqrt((count + m) * (math.log((count + m) / m) - 2 * math.log(level)))
        / count
    )


def log_beta(a: float, b: float) -> float:
    """The logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def log_beta_binomial(hits: float, count: float, share: float, prior: tuple[float, float]) -> float:
    """Log of the beta mixture's likelihood over that of `share`: a test martingale under it."""
    a, b = prior
    return (
        log_beta(a + hits, b + count - hits)
        - log_beta(a, b)
        - hits * math.log(share)
        - (count - hits) * math.log1p(-share)
    )


def split_differs(candidate: int, total: int, weight: float, level: float) -> bool:
    """Whether the candidate's share of the requests is not the weight that was loaded."""
    prior = weight * _SPLIT_PRIOR, (1 - weight) * _SPLIT_PRIOR
    return log_beta_binomial(candidate, total, weight, prior) >= -math.log(level)
