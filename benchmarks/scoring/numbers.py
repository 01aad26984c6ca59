"""How figures are rounded and averaged: None where there is nothing to speak of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

Figures = dict[str, Any]
"""Figures by name, ready for JSON."""


def rounded(value: Any, digits: int = 4) -> float | None:
    """Return a number rounded; None stays None, and NaN becomes None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return round(float(value), digits)


def share(part: float, whole: float) -> float | None:
    """Return the rounded share of a whole, or None if the whole is nothing."""
    return rounded(part / whole) if whole else None


def percentile(values: Sequence[float] | pd.Series[float], percent: float = 50) -> float | None:
    """Return a percentile to one digit, or None without values."""
    numbers = np.asarray(values, float)
    return round(float(np.percentile(numbers, percent)), 1) if len(numbers) else None


def f_beta(precision: float | None, recall: float | None, beta: float) -> float:
    """Return the weighted harmonic mean of precision and recall; recall counts `beta` times as much."""
    if not precision or not recall:
        return 0.0
    return (1 + beta * beta) * precision * recall / (beta * beta * precision + recall)
