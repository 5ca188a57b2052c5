"""The example images' code: the functions that a notebook shares, and the jobs against S3."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import TYPE_CHECKING

import feature_generation.__main__ as generation_job
import inference.__main__ as inference_job
import pandas as pd
import pytest
from feature_generation.features import MEASUREMENTS, BadRows, make_features
from inference.model import BadTable, area_under_curve, predict, train
from jobyard_cli.demo.data import land, raw_days

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, TODAY = "data", date(2026, 11, 24)
COMMON = ["--bucket", BUCKET, "--team", "risk", "--table", "consultations", "--date", str(TODAY)]


def raw(days: int = 10) -> pd.DataFrame:
    return pd.concat([pd.read_csv(io.StringIO(text)) for _, text in raw_days(TODAY, days)], ignore_index=True)


def test_the_demos_data_is_every_patient_once_the_same_each_time() -> None:
    table = raw()
    assert len(table) == 569
    assert table["patient_id"].is_unique
    assert list(raw_days(TODAY, 10)) == list(raw_days(TODAY, 10))
    assert [day for day, _ in raw_days(TODAY, 3)] == [TODAY - timedelta(days=back) for back in (2, 1, 0)]


def test_features_are_the_measurements_and_what_is_made_of_them() -> None:
    features = make_features(raw())
    assert features["label"].sum() == 212
    assert features["radius_worst_to_mean"].between(1, 3).all()
    assert not features.isna().any().any()
    assert list(make_features(raw().drop(columns="diagnosis")).columns) == list(features.columns.drop("label"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rows: rows.drop(columns=["mean_area"]), "lacks the columns mean_area"),
        (lambda rows: rows.head(0), "has no rows"),
        (lambda rows: pd.concat([rows, rows.head(1)], ignore_index=True), "more than once"),
        (
            lambda rows: rows.astype({"mean_area": object}).replace({"mean_area": {rows["mean_area"][0]: "?"}}),
            "row 2: ",
        ),
    ],
)
def test_rows_that_would_make_wrong_features_are_refused(damage: object, message: str) -> None:
    assert callable(damage)
    with pytest.raises(BadRows, match=message):
        make_features(damage(raw()))


def test_a_model_finds_patients_that_it_has_not_seen() -> None:
    trained = train(make_features(raw()))
    assert trained.metrics["auc"] > 0.97
    assert trained.metrics["rows_learned"] + trained.metrics["rows_held_out"] == 569
    again = train(make_features(raw()))
    assert again.booster.save_raw("json") == trained.booster.save_raw("json")


def test_a_model_refuses_features_that_it_was_not_trained_on() -> None:
    features = make_features(raw())
    trained = train(features)
    with pytest.raises(BadTable, match=r"missing: \['mean_area'\]"):
        predict(trained.booster, trained.features, features.drop(columns="mean_area"))


def test_a_model_needs_both_diagnoses() -> None:
    features = make_features(raw())
    with pytest.raises(BadTable, match="needs patients of both diagnoses"):
        train(features[features["label"] == 1])
    with pytest.raises(BadTable, match="has rows without a label"):
        train(features.drop(columns="label"))


def test_the_area_under_the_curve_counts_ties_half() -> None:
    labels = pd.Series([0, 0, 1, 1]).to_numpy()
    assert area_under_curve(labels, pd.Series([0.1, 0.2, 0.3, 0.4]).to_numpy()) == 1
    assert area_under_curve(labels, pd.Series([0.5, 0.5, 0.5, 0.5]).to_numpy()) == 0.5
    assert area_under_curve(labels, pd.Series([0.1, 0.4, 0.35, 0.8]).to_numpy()) == 0.75


def test_the_jobs_go_from_raw_rows_to_predictions_the_same_each_time(s3: S3Client) -> None:
    def run() -> tuple[bytes, bytes]:
        assert generation_job.main([*COMMON, "--days", "10"]) == 0
        assert inference_job.main(["train", *COMMON, "--model", "quality", "--days", "10"]) == 0
        assert inference_job.main(["predict", *COMMON, "--model", "quality"]) == 0
        keys = (f"{kind}/risk/consultations/dt={TODAY}/{kind2}.parquet" for kind, kind2 in OUTPUTS)
        first, second = (s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys)
        return first, second

    land(s3, BUCKET, "risk", TODAY, 10)
    once = run()
    assert run() == once
    predictions = pd.read_parquet(io.BytesIO(once[1]))
    assert set(predictions["model_dt"]) == {str(TODAY)}
    assert len(predictions) in (56, 57)


OUTPUTS = (("feature-store", "features"), ("predictions", "predictions"))


@pytest.mark.parametrize(
    ("job", "arguments", "message"),
    [
        (generation_job, COMMON, "feature-generation: can't read s3://data/raw/risk/consultations/dt=2026-11-24/rows"),
        (inference_job, ["predict", *COMMON, "--model", "quality"], "inference: can't read s3://data/models/risk/qual"),
        (inference_job, ["train", *COMMON, "--model", "quality"], "inference: can't read s3://data/feature-store/risk"),
    ],
)
def test_what_is_missing_ends_a_job_with_one_line(
    s3: S3Client, capsys: pytest.CaptureFixture[str], job: object, arguments: list[str], message: str
) -> None:
    assert job.main(arguments) == 1  # type: ignore[attr-defined]
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_rows_that_are_no_table_end_a_job_with_one_line(s3: S3Client, capsys: pytest.CaptureFixture[str]) -> None:
    key = f"raw/risk/consultations/dt={TODAY}/rows.csv"
    for body in (b"", b"patient_id\np1\n", ",".join(["patient_id", *MEASUREMENTS]).encode() + b"\n"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        assert generation_job.main(COMMON) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"feature-generation: s3://data/{key} ")
        assert error.count("\n") == 1
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="feature-store/")
