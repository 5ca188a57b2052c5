"""Pure functions: from tables of features to a model, from a model and a table to predictions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xgboost as xgb

KEY = "patient_id"
LABEL = "label"
DEPTH, ROUNDS = 3, 60
BOOSTING, FOREST, LINEAR = KINDS = ("boosting", "forest", "linear")
"""Kinds of models: trees that each correct those before, trees that each vote, and logistic regression."""
SHARED = {"objective": "binary:logistic", "eval_metric": "auc", "seed": 7, "nthread": 1}


class TableError(Exception):
    """A feature table that the model can't use; the message says why."""


class Model(Protocol):
    """What gives each row of features a probability: a booster of XGBoost's, or several blended."""

    def predict(self, data: xgb.DMatrix) -> np.ndarray:
        """The probability of a malignant finding for each row."""


@dataclass(frozen=True)
class Trained:
    """A model, the features it expects in their order, and how well it did on patients that it had not seen."""

    booster: xgb.Booster
    features: list[str]
    metrics: dict[str, float]


def train(table: pd.DataFrame, depth: int = DEPTH, rounds: int = ROUNDS, kind: str = BOOSTING) -> Trained:
    """Train on four fifths of the patients and measure on the rest; the split is by a hash of the patient.

    `depth` is that of a tree. `rounds` are trees, or passes over the features of a linear model.

    Raises:
        TableError: the table has no labels, or only one kind of them.
    """
    check_labels(table)
    held_out = is_held_out(table)
    learn, test = table[~held_out], table[held_out]
    if learn[LABEL].nunique() < 2 or test[LABEL].nunique() < 2:
        raise TableError("needs patients of both diagnoses, to learn from and to measure on; take more days")
    features = [name for name in table.columns if name not in (KEY, LABEL)]
    data = xgb.DMatrix(learn[features], label=learn[LABEL])
    # A forest grows all its trees in one round.
    booster = xgb.train(_parameters(kind, depth, rounds), data, num_boost_round=1 if kind == FOREST else rounds)
    scores = booster.predict(xgb.DMatrix(test[features]))
    metrics = {
        "auc": area_under_curve(test[LABEL].to_numpy(), scores),
        "accuracy": float(((scores >= 0.5) == test[LABEL]).mean()),
        "rows_learned": float(len(learn)),
        "rows_held_out": float(len(test)),
    }
    return Trained(booster, features, metrics)


def predict(booster: Model, features: list[str], table: pd.DataFrame) -> pd.DataFrame:
    """One row a patient: `patient_id`, `probability` of a malignant finding, and `prediction` (1 from 0.5 on).

    Raises:
        TableError: the table's features are not those that the model was trained on.
    """
    check_features(features, table)
    probability = booster.predict(xgb.DMatrix(table[features])).astype("float64")
    prediction = (probability >= 0.5).astype("int8")
    return pd.DataFrame({KEY: table[KEY], "probability": probability, "prediction": prediction})


def is_held_out(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows `train` measures on instead of learning from them: those of a fifth of the patients."""
    return table[KEY].map(_bucket) == 0


def check_labels(table: pd.DataFrame) -> None:
    """Raise TableError unless each row has a label."""
    if LABEL not in table.columns or table[LABEL].isna().any():
        raise TableError("has rows without a label")


def check_features(features: list[str], table: pd.DataFrame) -> None:
    """Raise TableError unless the table's features are those that a model was trained on."""
    found = [name for name in table.columns if name not in (KEY, LABEL)]
    if sorted(found) != sorted(features):
        missing, extra = sorted(set(features) - set(found)), sorted(set(found) - set(features))
        raise TableError(f"has other features than the model was trained on (missing: {missing}, unknown: {extra})")


def area_under_curve(labels: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a positive one scores above a negative one, ties counting half (Mann-Whitney)."""
    ranks = pd.Series(scores).rank().to_numpy()
    positives = int(labels.sum())
    negatives = len(labels) - positives
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _parameters(kind: str, depth: int, rounds: int) -> dict[str, Any]:
    if kind == LINEAR:
        # Unlike the default updater, this one gives the same model each time.
        return {**SHARED, "booster": "gblinear", "updater": "coord_descent"}
    if kind == FOREST:
        votes = {"num_parallel_tree": rounds, "eta": 1, "subsample": 0.8, "colsample_bynode": 0.3}
        return {**SHARED, **votes, "max_depth": depth}
    return {**SHARED, "eta": 0.2, "subsample": 0.9, "max_depth": depth}


def _bucket(patient: str) -> int:
    return int.from_bytes(hashlib.sha256(str(patient).encode()).digest()[:4], "big") % 5
