"""The job: train a model on several days' features, choose, blend, promote, predict for one day, look for drift."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from inference.days import days_of, rows_of, rows_of_model
from inference.drift import drift, expected_by_chance, two_sample_test
from inference.evaluation import CONFIDENCE
from inference.model import BOOSTING, DEPTH, KINDS, ROUNDS, TableError, predict, train
from inference.promotion import run_blending, run_evaluation, run_promotion
from inference.selection import CandidatesError, best
from inference.store import Store, UnreadableError
from inference.tracking import TrackingError, is_tracked, log_run

XCOM = Path("/airflow/xcom/return.json")
"""What a task writes here is its result for the tasks after it: less than 4 KiB of JSON."""

Options = argparse.Namespace
Result = dict[str, Any]


def run_training(store: Store, options: Options) -> Result:
    """Train on the days up to the last, and let the model count from that day on; its key and metrics.

    Raises:
        UnreadableError: a day's feature table is missing.
        TableError: the tables can't be learned from.
    """
    days = days_of(options.date, options.days)
    trained = train(rows_of(store, options.table, days), options.depth, options.rounds, options.kind)
    pointer = store.write_model(options.model, days, trained)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in trained.metrics.items())
    print(f"trained on {len(days)} days up to {days[-1]}: {shown} -> {pointer['model']}", flush=True)
    return {"model": pointer["model"], **trained.metrics}


def run_prediction(store: Store, options: Options) -> Result:
    """Predict for every patient of a day with the model of that day; how many, and how many were found malignant.

    Raises:
        UnreadableError: the day's features or the model are missing.
        TableError: the features are not the model's.
    """
    day, pointer = options.date, store.of_day(options.model, options.date)
    if pointer["dt"] > str(day):
        print(f"no model {options.model!r} is of {day} or before: the oldest scores, of {pointer['dt']}", flush=True)
    table = store.features(options.table, day)
    predictions = predict(store.model(pointer), pointer["features"], table).assign(model_dt=pointer["dt"])
    address = store.write_predictions(options.table, day, predictions)
    print(f"{day}: {len(predictions)} predictions with the model of {pointer['dt']} -> {address}", flush=True)
    print(predictions.head().to_string(index=False), flush=True)
    return {"rows": float(len(predictions)), "malignant": float(predictions["prediction"].sum())}


def run_drift(store: Store, options: Options) -> Result:
    """Compare the features of the days up to the last with those that day's model learned from; PSI and KS test.

    Raises:
        UnreadableError: there is no model yet, it does not say its days, or a day's feature table is missing.
        TableError: the features are not the model's.
    """
    pointer = store.of_day(options.model, options.date)
    learned = rows_of_model(store, options.table, pointer)
    rows = rows_of(store, options.table, days_of(options.date, options.days))
    found = drift(learned, rows, pointer["features"], options.bins)
    chance = expected_by_chance(len(learned), len(rows), options.bins)
    print(f"{len(rows)} rows beside {len(learned)} of the model of {pointer['dt']}; PSI by chance: {chance:.2g}")
    print(found.head().to_string(), flush=True)
    return {
        "psi": round(float(found.iloc[0]), 6),
        "feature": str(found.index[0]),
        "by_chance": round(chance, 6),
        "ks_p": float(f"{two_sample_test(learned, rows, pointer['features']):.3g}"),
        "rows": len(rows),
        "model_dt": pointer["dt"],
    }


def run_selection(store: Store, options: Options) -> Result:
    """Let the best of several trained models count from its day on, by a name of its own; its key and AUC.

    Raises:
        CandidatesError: they are not results of training tasks.
        UnreadableError: the best one's model does not exist.
    """
    chosen = best(options.candidates)
    store.make_latest(options.model, store.pointer(chosen["model"]))
    print(f"{options.model} is now {chosen['model']}, AUC {chosen['auc']:.4g}", flush=True)
    return {"model": chosen["model"], "auc": chosen["auc"]}


def track(options: Options, result: Result) -> None:
    """Log a task in MLflow: its options as parameters, and what it left.

    Raises:
        TrackingError: the server does not answer, or refuses.
    """
    given = {name: value for name, value in vars(options).items() if name not in UNTRACKED}
    log_run(f"{options.command} {getattr(options, 'date', '')}".strip(), given, result)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when it is done, 1 with one line on stderr when it can't be."""
    options = _parser().parse_args(arguments)
    try:
        result = options.run(Store(options.bucket, options.team), options)
        if is_tracked() and options.command in TRACKED:
            track(options, result)
    except (UnreadableError, TableError, CandidatesError, TrackingError) as error:
        print(f"inference: {error}", file=sys.stderr, flush=True)
        return 1
    if XCOM.parent.is_dir():
        XCOM.write_text(json.dumps(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inference", description=__doc__)
    commands = parser.add_subparsers(required=True)
    made = {name: commands.add_parser(name) for name in COMMANDS}
    for name, command in made.items():
        command.set_defaults(run=COMMANDS[name], command=name)
        for option in ("--bucket", "--team", "--model"):
            command.add_argument(option, required=True)
    for name in ("train", "predict", "drift", "blend", "evaluate"):
        made[name].add_argument("--table", required=True)
    for name in ("train", "predict", "drift", "blend", "evaluate", "promote"):
        made[name].add_argument("--date", required=True, type=date.fromisoformat, help="the (last) day, YYYY-MM-DD")
    days = {"train": "learn from", "drift": "compare", "blend": "compare models on", "evaluate": "compare models on"}
    for name, what in days.items():
        made[name].add_argument("--days", type=_at_least(1), default=1, help=f"how many days to {what}")
    for name in ("select", "blend"):
        made[name].add_argument("--candidates", required=True, help="JSON: a list of what `train` left")
    for name in ("evaluate", "promote"):
        made[name].add_argument("--candidate", required=True, help="the candidate's key, `model` of what a task left")
    made["train"].add_argument("--kind", choices=KINDS, default=BOOSTING, help="the kind of the model")
    made["train"].add_argument("--depth", type=_at_least(1), default=DEPTH, help="how deep a tree may be")
    made["train"].add_argument("--rounds", type=_at_least(1), default=ROUNDS, help="how many trees, or passes")
    made["drift"].add_argument("--bins", type=_at_least(2), default=10, help="how many parts each feature is cut into")
    made["evaluate"].add_argument(
        "--margin", type=float, default=0.0, help="how much AUC the lower end of the gain's interval has to be above"
    )
    made["evaluate"].add_argument("--confidence", type=_share, default=CONFIDENCE, help="of the gain's interval")
    return parser


COMMANDS: dict[str, Callable[[Store, Options], Result]] = {
    "train": run_training,
    "predict": run_prediction,
    "drift": run_drift,
    "select": run_selection,
    "blend": run_blending,
    "evaluate": run_evaluation,
    "promote": run_promotion,
}

TRACKED = ("train", "select", "blend", "evaluate", "promote")
"""The commands that are logged in MLflow: those that make or compare models."""
UNTRACKED = ("run", "command", "candidates", "bucket")
"""What is not logged as a parameter: what runs, outputs of other tasks, which have runs of their own, and the place."""


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return int(text)

    return number


if __name__ == "__main__":
    sys.exit(main())
