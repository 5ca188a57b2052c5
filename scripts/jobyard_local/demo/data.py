"""The raw rows of the demo: the clinical breast-cancer table that scikit-learn ships, dealt out over days.

`python -m jobyard_local.demo.data FOLDER` writes them as a folder for `jobyard run --data`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TABLE = "consultations"


def raw_days(last: date, days: int) -> Iterator[tuple[date, str]]:
    """A CSV of about 569/`days` rows for each of the days up to `last`: patient, 30 measurements, diagnosis."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    names = [name.replace(" ", "_") for name in table.feature_names]
    rows = [
        [f"p{number:04d}", *map(str, values), table.target_names[target]]
        for number, (values, target) in enumerate(zip(table.data, table.target, strict=True))
    ]
    # The table is not in random order; a hash of the patient spreads both diagnoses over all days, the same each time.
    rows.sort(key=lambda row: hashlib.sha256(row[0].encode()).digest())
    for number in range(days):
        yield last - timedelta(days=days - 1 - number), _csv([["patient_id", *names, "diagnosis"], *rows[number::days]])


def land(client: S3Client, bucket: str, team: str, last: date, days: int) -> int:
    """Put each day's rows where feature generation looks for them; the number of rows in all."""
    total = 0
    for day, text in raw_days(last, days):
        client.put_object(Bucket=bucket, Key=_key(team, day), Body=text.encode())
        total += text.count("\n") - 1
    return total


def write(folder: Path, team: str, last: date, days: int) -> list[Path]:
    """Write each day's rows as a file of a folder that stands for the data bucket; the files, in order."""
    files = []
    for day, text in raw_days(last, days):
        file = folder / _key(team, day)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        files.append(file)
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the files, and say where they are."""
    parser = argparse.ArgumentParser(prog="python -m jobyard_local.demo.data", description="Write rows to run jobs on.")
    parser.add_argument("folder", type=Path, help="stands for the data bucket: jobyard run --data FOLDER")
    parser.add_argument("--team", default="risk")
    parser.add_argument("--last", type=date.fromisoformat, default=date.today(), help="the last day, YYYY-MM-DD")
    parser.add_argument("--days", type=int, default=20, help="how many days")
    options = parser.parse_args(arguments)
    if options.days < 1:
        parser.error(f"--days must be at least 1; got {options.days}")
    files = write(options.folder, options.team, options.last, options.days)
    print(f"wrote {len(files)} files, the last one {files[-1]}")
    return 0


def _key(team: str, day: date) -> str:
    return f"raw/{team}/{TABLE}/dt={day}/rows.csv"


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
