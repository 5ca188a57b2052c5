"""Where features, models and predictions are on S3."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import boto3
import pandas as pd
import xgboost as xgb
from botocore.config import Config
from botocore.exceptions import ClientError

from inference.model import Trained


class UnreadableError(Exception):
    """An object that is missing or may not be read."""


@dataclass(frozen=True)
class Store:
    """One team's part of the data bucket."""

    bucket: str
    team: str

    def features(self, table: str, day: date) -> pd.DataFrame:
        """One day's feature table.

        Raises:
            UnreadableError: the table does not exist.
        """
        return pd.read_parquet(io.BytesIO(self._read(f"feature-store/{self.team}/{table}/dt={day}/features.parquet")))

    def write_predictions(self, table: str, day: date, predictions: pd.DataFrame) -> str:
        """Put one day's predictions as one object and return its address."""
        key = f"predictions/{self.team}/{table}/dt={day}/predictions.parquet"
        return self._write(key, predictions.to_parquet(index=False))

    def write_model(self, name: str, days: list[date], trained: Trained) -> dict[str, Any]:
        """Put a model, its metrics and its pointer, and make it the latest of that name; the pointer."""
        folder = f"models/{self.team}/{name}/dt={days[-1]}"
        model = f"{folder}/model.ubj"
        pointer = {
            "dt": str(days[-1]),
            "days": [str(day) for day in days],
            "model": model,
            "features": trained.features,
            **trained.metrics,
        }
        self._write(model, bytes(trained.booster.save_raw("ubj")))
        self._write(f"{folder}/metrics.json", json.dumps(trained.metrics).encode())
        self._write(f"{folder}/pointer.json", json.dumps(pointer).encode())
        self.make_latest(name, pointer)
        return pointer

    def make_latest(self, name: str, pointer: dict[str, Any]) -> None:
        """Let a name stand for a model that is there, from its day on; a reader finds the old model or the new one.

        Training of a past day, as in a backfill, leaves the models of later days as they are.
        """
        content = json.dumps(pointer).encode()
        self._write(f"{self._by_day(name)}{pointer['dt']}.json", content)
        if pointer["dt"] == max(self._days(name)):
            self._write(f"models/{self.team}/{name}/latest.json", content)

    def of_day(self, name: str, day: date) -> dict[str, Any]:
        """The pointer to the model that was the newest on a day; the oldest one for a day before all of them.

        Raises:
            UnreadableError: no model of this name has been trained.
        """
        days = self._days(name)
        if not days:
            # Of before models were kept by their days, or none.
            return self.latest(name)
        chosen = max((one for one in days if one <= str(day)), default=days[0])
        pointer: dict[str, Any] = json.loads(self._read(f"{self._by_day(name)}{chosen}.json"))
        return pointer

    def _by_day(self, name: str) -> str:
        return f"models/{self.team}/{name}/by-day/dt="

    def _days(self, name: str) -> list[str]:
        """The days of the models of a name, in order."""
        prefix = self._by_day(name)
        pages = _client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return sorted(key.removeprefix(prefix).removesuffix(".json") for key in keys)

    def pointer(self, model: str) -> dict[str, Any]:
        """What was written with a model, given its key; of this team's alone.

        Raises:
            UnreadableError: there is no such model.
        """
        if not model.startswith(f"models/{self.team}/"):
            raise UnreadableError(f"the model must belong to team {self.team} (models/{self.team}/...); got {model}")
        pointer: dict[str, Any] = json.loads(self._read(f"{model.rpartition('/')[0]}/pointer.json"))
        return pointer

    def latest(self, name: str) -> dict[str, Any]:
        """The pointer to the newest model: `dt`, `days` that it learned from, `model`, `features` and the metrics.

        Raises:
            UnreadableError: no model of this name has been trained.
        """
        try:
            pointer: dict[str, Any] = json.loads(self._read(f"models/{self.team}/{name}/latest.json"))
        except UnreadableError as error:
            raise UnreadableError(f"{error}; a model {name!r} has to be trained first") from error
        return pointer

    def booster(self, pointer: dict[str, Any]) -> xgb.Booster:
        """The model that a pointer points to.

        Raises:
            UnreadableError: it is gone.
        """
        booster = xgb.Booster()
        booster.load_model(bytearray(self._read(pointer["model"])))
        return booster

    def _read(self, key: str) -> bytes:
        try:
            content: bytes = _client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            reason = error.response["Error"].get("Message", str(error))
            raise UnreadableError(f"can't read s3://{self.bucket}/{key}: {reason}") from error
        return content

    def _write(self, key: str, content: bytes) -> str:
        _client().put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"s3://{self.bucket}/{key}"


def _client() -> Any:
    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
