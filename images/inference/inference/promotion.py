"""From trained models to the one that scores: blend several, compare one with the champion, promote it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from inference.blend import Blend, learn_weights, load_model
from inference.days import days_of, learned_days, rows_of, rows_of_model
from inference.evaluation import CONFIDENCE, Comparison, compare
from inference.model import LABEL, Model, check_features, check_labels, is_held_out
from inference.selection import CandidatesError, results_of
from inference.store import Store
from inference.tracking import is_tracked, name_champion

Options = argparse.Namespace
Pointer = dict[str, Any]
Result = dict[str, Any]


def run_blending(store: Store, options: Options) -> Result:
    """Blend several trained models; the key and AUC of the blend or, if that is better, of the best of them.

    All of them have held the same patients out of the same days. On these, the weights are learned. Which model is the
    best was measured on them too, so that it and the blend are compared on other days, which none has learned from.

    Raises:
        CandidatesError: they are not results of training tasks on the same days and features, or no day is left.
        UnreadableError: a model or a day's feature table is missing.
        TableError: the features are not the models', or there are too few patients of a diagnosis.
    """
    results = results_of(options.candidates)
    pointers = [store.pointer(result["model"]) for result in results]
    _check_alike(pointers)
    features = pointers[0]["features"]
    members = [store.booster(pointer) for pointer in pointers]
    table = rows_of_model(store, options.table, pointers[0])
    blend = Blend(members, _weights(members, features, table[is_held_out(table)]))
    days = _unseen(days_of(options.date, options.days), pointers)
    rows = _labelled(store, options.table, days, features)
    best = max(range(len(results)), key=lambda number: results[number]["auc"])
    found = compare(
        rows[LABEL].to_numpy(), _scores(blend, features, rows), _scores(members[best], features, rows), CONFIDENCE
    )
    pointer = store.write_blend(options.model, _about(pointers, blend, found.auc, len(rows)), blend)
    for weight, result in zip(blend.weights, results, strict=True):
        print(f"weight {weight:.3f}: {result['model']}", flush=True)
    print(f"{_words(rows, days)}: AUC {found.auc:.4f}; the best of them: {found.other_auc:.4f}; {_gain(found)}")
    chosen, auc = (pointer, found.auc) if found.gain >= 0 else (pointers[best], found.other_auc)
    print(f"the better is {chosen['model']}", flush=True)
    figures = {"blend_auc": found.auc, "best_auc": found.other_auc, "gain": found.gain}
    return {"model": chosen["model"], "auc": auc, **_rounded(figures), "rows": len(rows)}


def run_evaluation(store: Store, options: Options) -> Result:
    """Compare a candidate with the champion of the day, on days that neither has learned from.

    `promote` in the result is true if the lower end of the interval of the gain in AUC is above the margin. Without a
    champion, or with one whose features the tables no longer have, the candidate is compared with chance, an AUC of
    0.5. A candidate that is the champion already, as when a run is repeated, is to be promoted again.

    Raises:
        CandidatesError: no day is left.
        UnreadableError: the candidate or a day's feature table is missing, or a model does not say its days.
        TableError: the features are not the candidate's, or there are too few patients of a diagnosis.
    """
    candidate, champion = store.pointer(options.candidate), store.newest(options.model, options.date)
    days = _unseen(days_of(options.date, options.days), [candidate, champion] if champion else [candidate])
    rows = _labelled(store, options.table, days, candidate["features"])
    content, champion_content = store.content(candidate), store.content(champion) if champion else b""
    scores = _scores(load_model(candidate["model"], content), candidate["features"], rows)
    champion_scores, champion_words = _of_champion(champion, champion_content, rows)
    found = compare(rows[LABEL].to_numpy(), scores, champion_scores, options.confidence)
    is_champion = content == champion_content
    print(f"{_words(rows, days)}: AUC {found.auc:.4f}; {champion_words}: {found.other_auc:.4f}; {_gain(found)}")
    if is_champion:
        print("the candidate is the champion already", flush=True)
    figures = {
        "auc": found.auc,
        "champion_auc": found.other_auc,
        "gain": found.gain,
        "gain_low": found.gain_low,
        "gain_high": found.gain_high,
    }
    promote = is_champion or found.gain_low > options.margin
    return {"model": candidate["model"], "promote": promote, **_rounded(figures), "rows": len(rows)}


def run_promotion(store: Store, options: Options) -> Result:
    """Let a candidate be the champion from a day on; its key and AUC.

    A champion of a later day stays the latest. A second time, nothing changes.

    Raises:
        CandidatesError: the candidate has learned from a later day.
        UnreadableError: the candidate is missing.
        TrackingError: the team's MLflow server does not answer, or refuses.
    """
    candidate = store.pointer(options.candidate)
    last = learned_days(candidate)[-1]
    if last > str(options.date):
        # Else a day's predictions would be by a model that knows what came after it.
        raise CandidatesError(f"--date must be {last} or later, the last day that the candidate learned from")
    promoted = store.promote(options.model, candidate, options.date)
    print(f"{options.model} is {promoted['model']} from {options.date} on", flush=True)
    result = {"model": promoted["model"], "auc": promoted["auc"]}
    return {**result, **_registered(store, options, promoted)} if is_tracked() else result


def _registered(store: Store, options: Options, promoted: Pointer) -> Result:
    """Name the champion in MLflow too; its version there. A champion of a later day, as beside a backfill, stays."""
    if store.latest(options.model)["model"] != promoted["model"]:
        print(f"MLflow: the champion of a later day keeps the alias of {options.model}", flush=True)
        return {}
    name = f"{options.team}.{options.model}"
    return {"mlflow_version": name_champion(name, promoted, store.content(promoted))}


def _check_alike(pointers: Sequence[Pointer]) -> None:
    first = pointers[0]
    for what in ("days", "features"):
        other = next((pointer for pointer in pointers if pointer.get(what) != first.get(what)), None)
        if other is not None:
            raise CandidatesError(
                f"all candidates must be trained on the same {what}; {other['model']} has others than {first['model']}"
            )


def _unseen(days: list[date], pointers: Sequence[Pointer]) -> list[date]:
    learned = {day for pointer in pointers for day in learned_days(pointer)}
    unseen = [day for day in days if str(day) not in learned]
    if not unseen:
        models = " or ".join(pointer["model"] for pointer in pointers)
        raise CandidatesError(
            f"models must be compared on a day that neither has learned from; "
            f"of {days[0]} to {days[-1]}, each is one that {models} learned from"
        )
    return unseen


def _labelled(store: Store, table: str, days: Sequence[date], features: list[str]) -> pd.DataFrame:
    """The rows of the days, which have these features, and labels."""
    rows = rows_of(store, table, days)
    check_labels(rows)
    check_features(features, rows)
    return rows


def _weights(members: Sequence[Model], features: list[str], rows: pd.DataFrame) -> list[float]:
    check_labels(rows)
    check_features(features, rows)
    scores = [_scores(member, features, rows) for member in members]
    return [float(weight) for weight in learn_weights(rows[LABEL].to_numpy(), np.column_stack(scores))]


def _about(pointers: Sequence[Pointer], blend: Blend, auc: float, rows: int) -> Pointer:
    """What the blend's pointer says besides its key."""
    return {
        **{name: pointers[0][name] for name in ("dt", "days", "features", "rows_learned")},
        "auc": auc,
        "rows_held_out": float(rows),
        "weights": {pointer["model"]: weight for pointer, weight in zip(pointers, blend.weights, strict=True)},
    }


def _of_champion(champion: Pointer | None, content: bytes, rows: pd.DataFrame) -> tuple[np.ndarray, str]:
    """What the champion gives the rows, and what it is, in words."""
    if champion is None:
        return np.zeros(len(rows)), "no champion yet, so chance"
    missing = sorted(set(champion["features"]) - set(rows.columns))
    if missing:
        return np.zeros(len(rows)), f"the champion of {champion['dt']} needs {', '.join(missing)}, so chance"
    # Features that are new to the champion do not keep it from scoring.
    model = load_model(champion["model"], content)
    return _scores(model, champion["features"], rows), f"the champion of {champion['dt']}"


def _scores(model: Model, features: list[str], rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(model.predict(xgb.DMatrix(rows[features])), dtype="float64")


def _words(rows: pd.DataFrame, days: Sequence[date]) -> str:
    return f"{len(rows)} patients of {days[0]} to {days[-1]}, unseen"


def _gain(found: Comparison) -> str:
    return f"gain {found.gain:+.4f} ({found.gain_low:+.4f} to {found.gain_high:+.4f})"


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(figure, 6) for name, figure in figures.items()}
