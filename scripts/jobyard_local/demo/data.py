"""The raw rows of the demo: the clinical breast-cancer table that scikit-learn ships, dealt out over days."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import date, timedelta
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
        client.put_object(Bucket=bucket, Key=f"raw/{team}/{TABLE}/dt={day}/rows.csv", Body=text.encode())
        total += text.count("\n") - 1
    return total


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
