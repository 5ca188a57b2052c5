"""The job: the rows of a day, and what has changed in the days before it, from PostgreSQL to S3."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from ingestion import copying
from ingestion.copying import Outcome, Request
from ingestion.database import Login, table
from ingestion.errors import IngestionError
from ingestion.store import Store

XCOM = Path("/airflow/xcom/return.json")
"""What a task writes here is its result for the tasks after it: less than 4 KiB of JSON."""
MOST_LATE_DAYS = 90
"""The output names each day that changed, and has less than 4 KiB."""
FOLDER_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]")

Options = argparse.Namespace


def run(options: Options) -> dict[str, Any]:
    """Copy what is asked for; the task's output.

    Raises:
        IngestionError: it can't be done; the bucket then has whole days, old or new ones.
    """
    login = Login.of(os.environ)
    name = options.name or options.table
    if not FOLDER_NAME.fullmatch(name):
        raise IngestionError(
            f"{name!r} can't be a folder in the bucket; name one of letters, digits and '_' with --name"
        )
    store = Store(options.bucket, options.team, name)
    request = _request(options)
    # The list before the database: a day that another run writes after it is not overwritten with older rows.
    _ = store.days
    with tempfile.TemporaryDirectory() as folder:
        application = f"{options.job} {options.run}".strip() or "jobyard ingestion"
        with table(login, options.schema, options.table, application, options.statement_timeout) as opened:
            outcomes = copying.read(opened, store, request, Path(folder))
        # The database's transaction is over: it keeps no old rows for us while the files are sent.
        for outcome in outcomes:
            _put(store, outcome)
        return copying.output(outcomes, _size(store, outcomes[-1]))


def _put(store: Store, outcome: Outcome) -> None:
    if outcome.extract is None:
        print(f"{outcome.day}: {outcome.words}", flush=True)
        return
    store.put(outcome.day, outcome.extract.file)
    print(f"{outcome.day}: {outcome.words} -> {store.address(outcome.day)}", flush=True)


def _size(store: Store, outcome: Outcome) -> int:
    if outcome.extract is None:
        return store.days[outcome.day].size
    return outcome.extract.file.stat().st_size


def _request(options: Options) -> Request:
    return Request(
        options.date,
        options.time_column,
        late_days=options.late_days,
        columns=options.columns,
        as_text=options.as_text,
        accepted=options.accept_drift,
        may_be_empty=options.empty == "allow",
        batch_rows=options.batch_rows,
        run=f"{options.job} {options.run}" if options.run else "",
    )


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when it is done, 1 with one line on stderr when it can't be."""
    options = _parser().parse_args(arguments)
    try:
        result = run(options)
    except IngestionError as error:
        print(f"ingestion: {error}", file=sys.stderr, flush=True)
        return 1
    if XCOM.parent.is_dir():
        XCOM.write_text(json.dumps(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ingestion", description=__doc__)
    for option in ("--bucket", "--team", "--table"):
        parser.add_argument(option, required=True)
    parser.add_argument("--time-column", required=True, help="date or timestamp that says which day a row is of")
    parser.add_argument("--date", required=True, type=date.fromisoformat, help="the day in UTC, YYYY-MM-DD")
    parser.add_argument("--schema", default="public", help="the table's schema")
    parser.add_argument("--name", default="", help="the table's folder in the bucket; by default its name")
    parser.add_argument("--columns", nargs="+", default=[], help="only these columns")
    parser.add_argument("--as-text", nargs="+", default=[], help="columns to keep as the text that PostgreSQL shows")
    parser.add_argument("--accept-drift", nargs="+", default=[], help="columns that may be gone or have a new type")
    parser.add_argument("--late-days", type=_between(0, MOST_LATE_DAYS), default=0, help="days before to compare too")
    parser.add_argument("--empty", choices=["error", "allow"], default="error", help="what a day without rows is")
    parser.add_argument("--batch-rows", type=_between(1, 1_000_000), default=5000, help="rows in memory at once")
    parser.add_argument("--statement-timeout", type=_between(1, 86_400), default=600, help="seconds for a statement")
    parser.add_argument("--job", default="", help="the job's name, for the database's list of connections")
    parser.add_argument("--run", default="", help="the run's name, the same in each try")
    return parser


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return int(text)

    return number


if __name__ == "__main__":
    sys.exit(main())
