"""The job: train a model on the feature tables of several days, or predict for one day."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from inference.model import BadTable, predict, train
from inference.store import Store, Unreadable

XCOM = Path("/airflow/xcom/return.json")
"""What a task writes here is its result for the tasks after it, where the job asks for results."""


def run_training(store: Store, table: str, last: date, days: int, model: str) -> dict[str, float]:
    """Train on the `days` days up to `last`, and make the model the latest; its metrics.

    Raises:
        Unreadable: a day's feature table is missing.
        BadTable: the tables can't be learned from.
    """
    tables = [store.features(table, last - timedelta(days=back)) for back in reversed(range(days))]
    # A patient may come on several days: the newest measurements count.
    rows = pd.concat(tables, ignore_index=True).drop_duplicates("patient_id", keep="last")
    trained = train(rows)
    address = store.write_model(model, last, trained.booster, trained.features, trained.metrics)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in trained.metrics.items())
    print(f"trained on {days} days up to {last}: {shown} -> {address}", flush=True)
    return trained.metrics


def run_prediction(store: Store, table: str, day: date, model: str) -> dict[str, float]:
    """Predict for every patient of a day; how many there were, and how many were found malignant.

    Raises:
        Unreadable: the day's features or the model are missing.
        BadTable: the features are not the model's.
    """
    booster, pointer = store.latest_model(model)
    predictions = predict(booster, pointer["features"], store.features(table, day)).assign(model_dt=pointer["dt"])
    address = store.write_predictions(table, day, predictions)
    print(f"{day}: {len(predictions)} predictions with the model of {pointer['dt']} -> {address}", flush=True)
    print(predictions.head().to_string(index=False), flush=True)
    return {"rows": float(len(predictions)), "malignant": float(predictions["prediction"].sum())}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when the model or the predictions are written, 1 with one line on stderr when they can't be."""
    options = _parser().parse_args(arguments)
    store = Store(options.bucket, options.team)
    try:
        if options.command == "train":
            result = run_training(store, options.table, options.date, options.days, options.model)
        else:
            result = run_prediction(store, options.table, options.date, options.model)
    except (Unreadable, BadTable) as error:
        print(f"inference: {error}", file=sys.stderr, flush=True)
        return 1
    if XCOM.parent.is_dir():
        XCOM.write_text(json.dumps(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "predict"):
        command = commands.add_parser(name)
        command.add_argument("--bucket", required=True)
        command.add_argument("--team", required=True)
        command.add_argument("--table", required=True)
        command.add_argument("--model", required=True)
        command.add_argument("--date", required=True, type=date.fromisoformat, help="the (last) day, YYYY-MM-DD")
        if name == "train":
            command.add_argument("--days", type=int, default=1, help="how many days to learn from")
    return parser


if __name__ == "__main__":
    sys.exit(main())
