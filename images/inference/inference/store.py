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


class Unreadable(Exception):
    """An object that is missing or may not be read."""


@dataclass(frozen=True)
class Store:
    """One team's part of the data bucket."""

    bucket: str
    team: str

    def features(self, table: str, day: date) -> pd.DataFrame:
        """One day's feature table.

        Raises:
            Unreadable: there is none.
        """
        return pd.read_parquet(io.BytesIO(self._read(f"feature-store/{self.team}/{table}/dt={day}/features.parquet")))

    def write_predictions(self, table: str, day: date, predictions: pd.DataFrame) -> str:
        """Put one day's predictions as one object and return its address."""
        key = f"predictions/{self.team}/{table}/dt={day}/predictions.parquet"
        return self._write(key, predictions.to_parquet(index=False))

    def write_model(
        self, name: str, day: date, booster: xgb.Booster, features: list[str], metrics: dict[str, float]
    ) -> str:
        """Put a model and its metrics, then the pointer to it: a reader finds the old model or the new one, whole."""
        key = f"models/{self.team}/{name}/dt={day}/model.ubj"
        address = self._write(key, bytes(booster.save_raw("ubj")))
        self._write(f"models/{self.team}/{name}/dt={day}/metrics.json", json.dumps(metrics).encode())
        pointer = {"dt": str(day), "model": key, "features": features, **metrics}
        self._write(f"models/{self.team}/{name}/latest.json", json.dumps(pointer).encode())
        return address

    def latest_model(self, name: str) -> tuple[xgb.Booster, dict[str, Any]]:
        """The newest model and its pointer (`dt`, `model`, `features` and the metrics).

        Raises:
            Unreadable: no model of this name has been trained.
        """
        pointer = json.loads(self._read(f"models/{self.team}/{name}/latest.json"))
        booster = xgb.Booster()
        booster.load_model(bytearray(self._read(pointer["model"])))
        return booster, pointer

    def _read(self, key: str) -> bytes:
        try:
            content: bytes = _client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            reason = error.response["Error"].get("Message", str(error))
            raise Unreadable(f"can't read s3://{self.bucket}/{key}: {reason}") from error
        return content

    def _write(self, key: str, content: bytes) -> str:
        _client().put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"s3://{self.bucket}/{key}"


def _client() -> Any:
    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
