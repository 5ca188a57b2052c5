"""The example images' code: the functions that a notebook shares, and the jobs against S3."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import feature_generation.__main__ as generation_job
import inference.__main__ as inference_job
import numpy as np
import pandas as pd
import pytest
from feature_generation.features import MEASUREMENTS, RowsError, make_features
from inference.drift import drift, expected_by_chance, stability_index, two_sample_test
from inference.model import TableError, area_under_curve, predict, train
from inference.selection import CandidatesError, best
from jobyard_local.demo.data import land, main, raw_days

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, TODAY = "data", date(2026, 11, 24)
COMMON = ["--bucket", BUCKET, "--team", "risk", "--table", "consultations", "--date", str(TODAY)]
SELECT = ["select", "--bucket", BUCKET, "--team", "risk", "--model", "quality"]


def raw(days: int = 10) -> pd.DataFrame:
    return pd.concat([pd.read_csv(io.StringIO(text)) for _, text in raw_days(TODAY, days)], ignore_index=True)


def test_the_demos_data_is_every_patient_once_the_same_each_time() -> None:
    table = raw()
    assert len(table) == 569
    assert table["patient_id"].is_unique
    assert list(raw_days(TODAY, 10)) == list(raw_days(TODAY, 10))
    assert [day for day, _ in raw_days(TODAY, 3)] == [TODAY - timedelta(days=back) for back in (2, 1, 0)]


def test_the_demos_data_can_be_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--team", "fraud", "--last", str(TODAY), "--days", "3"]) == 0
    folder = tmp_path / "raw" / "fraud" / "consultations"
    files = {file.parent.name: file.read_text() for file in folder.glob("*/rows.csv")}
    assert files == {f"dt={day}": text for day, text in raw_days(TODAY, 3)}
    assert capsys.readouterr().out == f"wrote 3 files, the last one {folder}/dt={TODAY}/rows.csv\n"
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--days", "0"])


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
    with pytest.raises(RowsError, match=message):
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
    with pytest.raises(TableError, match=r"missing: \['mean_area'\]"):
        predict(trained.booster, trained.features, features.drop(columns="mean_area"))


def test_a_model_needs_both_diagnoses() -> None:
    features = make_features(raw())
    with pytest.raises(TableError, match="needs patients of both diagnoses"):
        train(features[features["label"] == 1])
    with pytest.raises(TableError, match="has rows without a label"):
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


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run a command of the inference image that succeeds, and return what it left for the tasks after it."""
    place = tmp_path / "return.json"
    monkeypatch.setattr(inference_job, "XCOM", place)

    def run(command: str, *arguments: str) -> dict[str, Any]:
        assert inference_job.main([command, "--bucket", BUCKET, "--team", "risk", *arguments]) == 0
        assert place.stat().st_size < 4096
        left: dict[str, Any] = json.loads(place.read_text())
        return left

    return run


def pointer(s3: S3Client, model: str) -> dict[str, Any]:
    body = s3.get_object(Bucket=BUCKET, Key=f"models/risk/{model}/latest.json")["Body"].read()
    found: dict[str, Any] = json.loads(body)
    return found


def test_the_best_of_several_trainings_becomes_the_latest(s3: S3Client, result: Callable[..., dict[str, Any]]) -> None:
    land(s3, BUCKET, "risk", TODAY, 10)
    generation_job.main([*COMMON, "--days", "10"])
    days = ["--table", "consultations", "--date", str(TODAY), "--days", "10"]
    results = [
        result("train", *days, "--model", f"quality-{depth}", "--depth", depth, "--rounds", "3") for depth in "16"
    ]
    assert results[0]["auc"] < results[1]["auc"]
    chosen = {"model": f"models/risk/quality-6/dt={TODAY}/model.ubj", "auc": results[1]["auc"]}
    assert result("select", "--model", "quality", "--candidates", json.dumps(results)) == chosen
    assert pointer(s3, "quality") == pointer(s3, "quality-6")
    assert pointer(s3, "quality")["days"] == [str(TODAY - timedelta(days=back)) for back in range(9, -1, -1)]
    assert inference_job.main(["predict", *COMMON, "--model", "quality"]) == 0


def test_a_backfilled_day_is_scored_by_the_model_of_that_day(
    s3: S3Client, result: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    land(s3, BUCKET, "risk", TODAY, 20)
    generation_job.main([*COMMON, "--days", "20"])
    common = ["--table", "consultations", "--model", "quality"]
    today, before, first = (str(TODAY - timedelta(days=back)) for back in (0, 4, 8))
    # The last one is of a past day, as in a backfill.
    for day in (first, today, before):
        result("train", *common, "--date", day, "--days", "8", "--rounds", "3")
    assert pointer(s3, "quality")["dt"] == today

    def scored_by(back: int) -> str:
        day = TODAY - timedelta(days=back)
        result("predict", *common, "--date", str(day))
        key = f"predictions/risk/consultations/dt={day}/predictions.parquet"
        [model] = set(pd.read_parquet(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))["model_dt"])
        return str(model)

    assert [scored_by(back) for back in (0, 1, 3, 4, 5, 8)] == [today, before, before, before, first, first]
    assert "no model 'quality'" not in capsys.readouterr().out
    assert scored_by(9) == first
    older = TODAY - timedelta(days=9)
    assert f"no model 'quality' is of {older} or before: the oldest scores, of {first}\n" in capsys.readouterr().out
    assert result("drift", *common, "--date", before, "--days", "8")["model_dt"] == before


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ("", "must be JSON"),
        ("{}", "must be a list"),
        ("[]", "must be a list"),
        (
            '[{"model": "m", "auc": 0.9}, {"auc": 0.8}]',
            "candidate 2 must have a 'model'",
        ),
        ('[{"model": "m", "auc": true}]', "candidate 1 must have"),
    ],
)
def test_what_is_no_list_of_results_is_refused(candidates: str, message: str) -> None:
    with pytest.raises(CandidatesError, match=message):
        best(candidates)


def test_of_equal_candidates_the_first_is_chosen() -> None:
    assert best('[{"model": "a", "auc": 0.8}, {"model": "b", "auc": 0.9}, {"model": "c", "auc": 0.9}]')["model"] == "b"


def test_the_stability_index_is_the_formulas() -> None:
    reference, values = np.arange(100.0), np.concatenate([np.full(75, 10.0), np.full(25, 90.0)])
    # Two bins, of a half each: three quarters of the values are in the lower one.
    assert stability_index(reference, values, 2) == pytest.approx(0.25 * np.log(0.75 / 0.5) - 0.25 * np.log(0.25 / 0.5))
    assert stability_index(reference, reference, 10) == 0
    assert stability_index(reference, reference + 1000, 10) > 1


def test_features_with_few_values_or_none_move_too() -> None:
    rare = np.array([0.0] * 95 + [1.0] * 5)
    often = np.array([0.0] * 50 + [1.0] * 50)
    constant, missing = np.zeros(100), np.full(100, np.nan)
    for one, other in ((rare, often), (1 - rare, 1 - often), (constant, rare), (constant, -rare), (rare, missing)):
        assert stability_index(one, other, 10) > 0.1
        assert stability_index(other, one, 10) > 0.1
        assert stability_index(one, one, 10) == 0


def test_few_rows_look_like_drift_as_much_as_is_said() -> None:
    random = np.random.default_rng(7)
    found = [stability_index(random.normal(size=500), random.normal(size=300), 10) for _ in range(300)]
    assert np.mean(found) == pytest.approx(expected_by_chance(500, 300, 10), rel=0.15)


def test_a_test_of_two_samples_says_how_likely_the_difference_is_by_chance() -> None:
    random = np.random.default_rng(7)
    names = [f"f{number}" for number in range(5)]

    def drawn(rows: int) -> pd.DataFrame:
        return pd.DataFrame(random.normal(size=(rows, 5)), columns=names)

    by_chance = [two_sample_test(drawn(400), drawn(60), names) for _ in range(300)]
    # About one in twenty: Bonferroni's bound is near for features that know nothing of each other.
    assert 0.02 < np.mean(np.array(by_chance) < 0.05) < 0.08
    table, moved = drawn(400), drawn(60).assign(f3=random.normal(1.0, size=60))
    assert two_sample_test(table, moved, names) < 1e-4
    assert two_sample_test(table, table, names) == 1
    assert two_sample_test(table, table.assign(f1=np.nan), names) == 1
    with pytest.raises(TableError, match="no rows"):
        two_sample_test(table, table.head(0), names)


def test_drift_names_the_feature_that_moved() -> None:
    features = make_features(raw())
    names = [name for name in features.columns if name not in ("patient_id", "label")]
    moved = drift(features, features.assign(mean_area=features["mean_area"] * 1.5), names, 10)
    assert (moved.index[0], moved.iloc[0] > 0.2, moved.iloc[1]) == ("mean_area", True, 0)
    with pytest.raises(TableError, match="no rows"):
        drift(features, features.head(0), names, 10)
    with pytest.raises(TableError, match=r"missing: \['mean_area'\]"):
        drift(features, features.drop(columns="mean_area"), names, 10)


def test_the_drift_of_days_is_from_the_days_that_the_model_learned_from(
    s3: S3Client, result: Callable[..., dict[str, Any]]
) -> None:
    land(s3, BUCKET, "risk", TODAY, 10)
    generation_job.main([*COMMON, "--days", "10"])
    common = ["--table", "consultations", "--model", "quality"]
    before = str(TODAY - timedelta(days=5))
    assert result("train", *common, "--date", before, "--days", "5")["model"] == (
        f"models/risk/quality/dt={before}/model.ubj"
    )
    same = result("drift", *common, "--date", before, "--days", "5")
    assert (same["psi"], same["ks_p"], same["model_dt"]) == (0, 1, before)
    few = result("drift", *common, "--date", str(TODAY), "--bins", "5")
    more = result("drift", *common, "--date", str(TODAY), "--days", "5", "--bins", "5")
    assert 0 < more["psi"] < few["psi"]
    assert few["by_chance"] == pytest.approx(4 * (1 / few["rows"] + 1 / more["rows"]), rel=0.05)


def test_a_model_from_before_pointers_had_days_has_to_be_trained_anew(
    s3: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=BUCKET, Key="models/risk/quality/latest.json", Body=b'{"dt": "2026-11-01"}')
    assert inference_job.main(["drift", *COMMON, "--model", "quality"]) == 1
    message = "inference: the model of 2026-11-01 does not say which days it was trained on; train it again\n"
    assert capsys.readouterr().err == message


OUTPUTS = (("feature-store", "features"), ("predictions", "predictions"))


@pytest.mark.parametrize(
    ("job", "arguments", "message"),
    [
        (generation_job, COMMON, "feature-generation: can't read s3://data/raw/risk/consultations/dt=2026-11-24/rows"),
        (inference_job, ["predict", *COMMON, "--model", "quality"], "inference: can't read s3://data/models/risk/qual"),
        (inference_job, ["train", *COMMON, "--model", "quality"], "inference: can't read s3://data/feature-store/risk"),
        (
            inference_job,
            ["drift", *COMMON, "--model", "quality"],
            "inference: can't read s3://data/models/risk/quality/latest.json: The specified key does not exist.; "
            "a model 'quality' has to be trained first\n",
        ),
        (
            inference_job,
            [*SELECT, "--candidates", '[{"model": "models/risk/quality/dt=2026-11-24/model.ubj", "auc": 1}]'],
            "inference: can't read s3://data/models/risk/quality/dt=2026-11-24/pointer.json: ",
        ),
        (
            inference_job,
            [*SELECT, "--candidates", '[{"model": "models/care/quality/dt=2026-11-24/model.ubj", "auc": 1}]'],
            "inference: the model must belong to team risk (models/risk/...); "
            "got models/care/quality/dt=2026-11-24/model.ubj\n",
        ),
        (inference_job, [*SELECT, "--candidates", "[]"], "inference: --candidates must be a list with at least one"),
    ],
)
def test_what_is_missing_ends_a_job_with_one_line(
    s3: S3Client, capsys: pytest.CaptureFixture[str], job: object, arguments: list[str], message: str
) -> None:
    assert job.main(arguments) == 1  # type: ignore[attr-defined]
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_features_are_made_of_parquet_where_a_day_has_it(s3: S3Client) -> None:
    rows = raw(1)
    days = [TODAY, TODAY - timedelta(days=2)]
    for day in days:
        body = rows.to_parquet(index=False)
        s3.put_object(Bucket=BUCKET, Key=f"raw/risk/consultations/dt={day}/rows.parquet", Body=body)
        s3.put_object(Bucket=BUCKET, Key=f"raw/risk/consultations/dt={day}/rows.csv", Body=b"old")
    assert generation_job.main([*COMMON[:-2], "--dates", ",".join(map(str, days))]) == 0
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="feature-store/")["Contents"]
    assert [one["Key"] for one in listed] == [
        f"feature-store/risk/consultations/dt={day}/features.parquet" for day in sorted(days)
    ]
    found = pd.read_parquet(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=listed[0]["Key"])["Body"].read()))
    assert len(found) == len(rows)


def test_rows_that_are_no_table_end_a_job_with_one_line(s3: S3Client, capsys: pytest.CaptureFixture[str]) -> None:
    key = f"raw/risk/consultations/dt={TODAY}/rows.csv"
    for body in (b"", b"patient_id\np1\n", ",".join(["patient_id", *MEASUREMENTS]).encode() + b"\n"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        assert generation_job.main(COMMON) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"feature-generation: s3://data/{key} ")
        assert error.count("\n") == 1
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="feature-store/")
