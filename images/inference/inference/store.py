"""Where features, models and predictions are on S3."""

from __future__ import annotations

import functools
import hashlib
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

from inference.blend import BLEND, BOOSTER, Blend, load_booster, load_model
from inference.model import Model, Trained


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
        pointer = {
            "dt": str(days[-1]),
            "days": [str(day) for day in days],
            "model": f"{folder}/model{BOOSTER}",
            "features": trained.features,
            **trained.metrics,
        }
        self._write(f"{folder}/metrics.json", json.dumps(trained.metrics).encode())
        self._put_model(pointer, bytes(trained.booster.save_raw("ubj")))
        self.make_latest(name, pointer)
        return pointer

    def write_blend(self, name: str, about: dict[str, Any], blend: Blend) -> dict[str, Any]:
        """Put a blend and its pointer, and make it the latest of that name; the pointer.

        `about` is what the pointer says besides the model's key: `dt`, `days`, `features` and more.
        """
        pointer = {**about, "model": f"models/{self.team}/{name}/dt={about['dt']}/model{BLEND}"}
        self._put_model(pointer, blend.save())
        self.make_latest(name, pointer)
        return pointer

    def promote(self, name: str, candidate: dict[str, Any], day: date) -> dict[str, Any]:
        """Let a name stand for a copy of a candidate from a day on; the copy's pointer.

        The copy's key has a hash of its content: training the candidate's day again, with other settings, leaves the
        model that was promoted as it is.

        Raises:
            UnreadableError: the candidate's model is gone.
        """
        content = self.content(candidate)
        folder = f"models/{self.team}/{name}/dt={day}/{hashlib.sha256(content).hexdigest()[:12]}"
        file = candidate["model"].rpartition("/")[2]
        pointer = {**candidate, "dt": str(day), "candidate": candidate["model"], "model": f"{folder}/{file}"}
        self._put_model(pointer, content)
        self.make_latest(name, pointer)
        return pointer

    def _put_model(self, pointer: dict[str, Any], content: bytes) -> None:
        self._write(pointer["model"], content)
        self._write(f"{pointer['model'].rpartition('/')[0]}/pointer.json", json.dumps(pointer).encode())

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
        return self._of(name, max((one for one in days if one <= str(day)), default=days[0]))

    def newest(self, name: str, day: date) -> dict[str, Any] | None:
        """The pointer to the model that was the newest on a day; None if no model of this name is of then or before.

        Raises:
            UnreadableError: what there is may not be read.
        """
        days = self._days(name)
        earlier = [one for one in days if one <= str(day)]
        if earlier:
            return self._of(name, earlier[-1])
        if days or not self._keys(f"models/{self.team}/{name}/latest.json"):
            return None
        pointer = self.latest(name)
        return pointer if pointer["dt"] <= str(day) else None

    def _of(self, name: str, day: str) -> dict[str, Any]:
        pointer: dict[str, Any] = json.loads(self._read(f"{self._by_day(name)}{day}.json"))
        return pointer

    def _by_day(self, name: str) -> str:
        return f"models/{self.team}/{name}/by-day/dt="

    def _days(self, name: str) -> list[str]:
        """The days of the models of a name, in order."""
        prefix = self._by_day(name)
        return sorted(key.removeprefix(prefix).removesuffix(".json") for key in self._keys(prefix))

    def _keys(self, prefix: str) -> list[str]:
        pages = _client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        try:
            return [found["Key"] for page in pages for found in page.get("Contents", [])]
        except ClientError as error:
            raise UnreadableError(f"can't list s3://{self.bucket}/{prefix}: {_reason(error)}") from error

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

    def model(self, pointer: dict[str, Any]) -> Model:
        """The model that a pointer points to: a booster, or several blended.

        Raises:
            UnreadableError: it is gone.
        """
        return load_model(pointer["model"], self.content(pointer))

    def booster(self, pointer: dict[str, Any]) -> xgb.Booster:
        """The booster that a pointer points to.

        Raises:
            UnreadableError: it is gone, or several are blended in it.
        """
        if pointer["model"].endswith(BLEND):
            raise UnreadableError(f"the model must be a single one; got the blend {pointer['model']}")
        return load_booster(self.content(pointer))

    def content(self, pointer: dict[str, Any]) -> bytes:
        """The bytes of the model that a pointer points to.

        Raises:
            UnreadableError: it is gone.
        """
        return self._read(pointer["model"])

    def _read(self, key: str) -> bytes:
        try:
            content: bytes = _client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise UnreadableError(f"can't read s3://{self.bucket}/{key}: {_reason(error)}") from error
        return content

    def _write(self, key: str, content: bytes) -> str:
        _client().put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"s3://{self.bucket}/{key}"


def _reason(error: ClientError) -> str:
    return str(error.response["Error"].get("Message", error))


@functools.cache
def _client() -> Any:
    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
