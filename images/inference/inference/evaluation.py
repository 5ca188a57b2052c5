"""Pure functions: how much better one model is than another, on patients that neither has learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, rankdata

from inference.model import TableError, area_under_curve

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """The AUC of two models on the same patients, their difference, and its confidence interval."""

    auc: float
    other_auc: float
    gain: float
    gain_low: float
    gain_high: float


def compare(labels: np.ndarray, scores: np.ndarray, other: np.ndarray, confidence: float) -> Comparison:
    """Compare the scores that two models gave the same patients; the same result each time.

    The interval is a bootstrap's: patients of each diagnosis are drawn again and again, for both models the same ones,
    so that what makes a day easy or hard for both does not count.

    Raises:
        TableError: there are fewer than two patients of a diagnosis.
    """
    positives, negatives = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    if min(len(positives), len(negatives)) < 2:
        raise TableError(
            f"needs at least two patients of each diagnosis to compare models on; there are {len(positives)} malignant "
            f"and {len(negatives)} benign ones; take more days"
        )

    def gain(some: np.ndarray, others: np.ndarray, axis: int) -> np.ndarray:
        drawn = np.concatenate([some, others], axis=axis)
        return np.asarray(_areas(scores[drawn], some.shape[axis]) - _areas(other[drawn], some.shape[axis]))

    interval = bootstrap(
        (positives, negatives),
        gain,
        n_resamples=RESAMPLES,
        # Bounds the memory, however many patients there are.
        batch=50,
        confidence_level=confidence,
        # The better intervals of scipy's are undefined where each draw gives the same, as with two equal models.
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    auc, other_auc = area_under_curve(labels, scores), area_under_curve(labels, other)
    return Comparison(auc, other_auc, auc - other_auc, float(interval.low), float(interval.high))


def _areas(scores: np.ndarray, positives: int) -> np.ndarray:
    """The area under the curve of each row of scores, of which the first ones are the positives'."""
    ranks = rankdata(scores, axis=-1)[..., :positives].sum(axis=-1)
    negatives = scores.shape[-1] - positives
    areas = (ranks - positives * (positives + 1) / 2) / (positives * negatives)
    return np.asarray(areas)
