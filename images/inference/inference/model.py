"""Pure functions: from tables of features to a model, from a model and a table to predictions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost as xgb

KEY = "patient_id"
LABEL = "label"
DEPTH, ROUNDS = 3, 60
PARAMETERS = {
    "objective": "binary:logistic",
    "eval_metric": "auc",
    "eta": 0.2,
    "subsample": 0.9,
    "seed": 7,
    "nthread": 1,
}


class TableError(Exception):
    """A feature table that the model can't use; the message says why."""


@dataclass(frozen=True)
class Trained:
    """A model, the features it expects in their order, and how well it did on patients that it had not seen."""

    booster: xgb.Booster
    features: list[str]
    metrics: dict[str, float]


def train(table: pd.DataFrame, depth: int = DEPTH, rounds: int = ROUNDS) -> Trained:
    """Train on four fifths of the patients and measure on the rest; the split is by a hash of the patient.

    Raises:
        TableError: the table has no labels, or only one kind of them.
    """
    if LABEL not in table.columns or table[LABEL].isna().any():
        raise TableError("has rows without a label")
    held_out = table[KEY].map(_bucket) == 0
    learn, test = table[~held_out], table[held_out]
    if learn[LABEL].nunique() < 2 or test[LABEL].nunique() < 2:
        raise TableError("needs patients of both diagnoses, to learn from and to measure on; take more days")
    features = [name for name in table.columns if name not in (KEY, LABEL)]
    parameters = {**PARAMETERS, "max_depth": depth}
    booster = xgb.train(parameters, xgb.DMatrix(learn[features], label=learn[LABEL]), num_boost_round=rounds)
    scores = booster.predict(xgb.DMatrix(test[features]))
    metrics = {
        "auc": area_under_curve(test[LABEL].to_numpy(), scores),
        "accuracy": float(((scores >= 0.5) == test[LABEL]).mean()),
        "rows_learned": float(len(learn)),
        "rows_held_out": float(len(test)),
    }
    return Trained(booster, features, metrics)


def predict(booster: xgb.Booster, features: list[str], table: pd.DataFrame) -> pd.DataFrame:
    """One row a patient: `patient_id`, `probability` of a malignant finding, and `prediction` (1 from 0.5 on).

    Raises:
        TableError: the table's features are not those that the model was trained on.
    """
    check_features(features, table)
    probability = booster.predict(xgb.DMatrix(table[features])).astype("float64")
    prediction = (probability >= 0.5).astype("int8")
    return pd.DataFrame({KEY: table[KEY], "probability": probability, "prediction": prediction})


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


def _bucket(patient: str) -> int:
    return int.from_bytes(hashlib.sha256(str(patient).encode()).digest()[:4], "big") % 5
