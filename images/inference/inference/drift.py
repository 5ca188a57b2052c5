"""Pure functions: how far features have moved away from those that a model was trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from inference.model import TableError, check_features


def drift(reference: pd.DataFrame, table: pd.DataFrame, features: list[str], bins: int) -> pd.Series[float]:
    """The population stability index of each feature between two tables, the largest first.

    Raises:
        TableError: the table is empty, or its features are not those that the model was trained on.
    """
    _check(reference, table, features)
    found = {
        name: stability_index(reference[name].to_numpy("float64"), table[name].to_numpy("float64"), bins)
        for name in features
    }
    return pd.Series(found).sort_values(ascending=False)


def two_sample_test(reference: pd.DataFrame, table: pd.DataFrame, features: list[str]) -> float:
    """The chance of a difference as large as that of any feature, had none moved: Kolmogorov and Smirnov's test.

    The smallest of the features' p-values, times their number (Bonferroni), at most 1. Missing values are left out. It
    knows how many rows there are, where the stability index has a threshold; of many rows it sees the smallest shift.

    Raises:
        TableError: a table is empty, or its features are not those that the model was trained on.
    """
    _check(reference, table, features)
    smallest = 1.0
    for name in features:
        learned, found = (side[name].dropna().to_numpy("float64") for side in (reference, table))
        if learned.size and found.size:
            smallest = min(smallest, float(ks_2samp(learned, found).pvalue))
    return min(1.0, smallest * len(features))


def _check(reference: pd.DataFrame, table: pd.DataFrame, features: list[str]) -> None:
    check_features(features, table)
    if table.empty or reference.empty:
        raise TableError("has no rows to compare")


def stability_index(reference: np.ndarray, values: np.ndarray, bins: int) -> float:
    """PSI = sum over the bins of (share of values - share of reference) * ln(share of values / share of reference).

    The bins hold equal parts of the reference; missing values are a bin of their own. A bin that is empty on one side
    counts as half a row there, so that the logarithm exists. Below 0.1 a feature has not moved, from 0.2 (some say
    0.25) on it has: N. Siddiqi, Credit Risk Scorecards, Wiley 2006.
    """
    edges = _edges(reference, bins)
    expected, found = _shares(reference, edges), _shares(values, edges)
    return float(((found - expected) * np.log(found / expected)).sum())


def expected_by_chance(reference_rows: int, rows: int, bins: int) -> float:
    """The PSI to expect of a feature that has not moved at all: few rows look like drift.

    B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model
    Validation 14(4), 2020: the PSI is about (1/n + 1/m) times a chi-squared variable of bins - 1 degrees of freedom.
    """
    return (bins - 1) * (1 / reference_rows + 1 / rows)


def _edges(reference: np.ndarray, bins: int) -> np.ndarray:
    known = reference[~np.isnan(reference)]
    if not known.size:
        return np.array([])
    quantiles = np.quantile(known, np.linspace(0, 1, bins + 1))
    values, times = np.unique(quantiles, return_counts=True)
    # A value that fills whole bins, such as a frequent 0, gets one of its own: it may become more or less.
    return np.union1d(quantiles[1:-1], np.nextafter(values[times > 1], np.inf))


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    # Each bin holds its lower edge.
    place = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="right"))
    rows = np.bincount(place, minlength=len(edges) + 2)
    return np.maximum(rows, 0.5) / len(values)
