"""The example jobs that choose what scores, run as a whole: promotion of a better candidate, an ensemble."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import feature_generation.__main__ as generation_job
import inference.__main__ as inference_job
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from inference.blend import Blend, learn_weights
from inference.evaluation import compare
from inference.model import TableError
from jobyard_cli.check.run import check_repo
from jobyard_cli.running.trigger_rules import State
from jobyard_cli.team.scaffold import examples, new_job
from jobyard_local.demo.data import land

from tests.support.paths import ROOT
from tests.support.whole_job import run_job

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, TODAY = "data", date(2026, 11, 24)
QUALITY = "consultations-quality"
COMMON = ["--bucket", BUCKET, "--team", "risk"]

Run = Callable[..., tuple[dict[str, list[State]], dict[str, Any], str]]


def back(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture
def data(s3: S3Client) -> S3Client:
    """Raw rows of sixteen days."""
    land(s3, BUCKET, "risk", TODAY, 16)
    return s3


@pytest.fixture
def run(team_repo: Path, data: S3Client, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a job of a day: its tasks' states, what they left, what was printed."""

    def run_it(job: str, day: date) -> tuple[dict[str, list[State]], dict[str, Any], str]:
        outcome, outputs, printed = run_job(team_repo, job, day, BUCKET, monkeypatch)
        logs = "".join(log.read_text() for log in (team_repo / ".jobyard" / "runs" / job / str(day)).glob("**/log.txt"))
        states = {ended.instance.task: outcome.states(ended.instance.task) for ended in outcome.ended}
        return states, outputs, printed + logs

    return run_it


def read(s3: S3Client, key: str) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def read_json(s3: S3Client, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(s3, key))
    return found


def champion(s3: S3Client) -> dict[str, Any]:
    return read_json(s3, f"models/risk/{QUALITY}/latest.json")


def champion_days(s3: S3Client) -> list[str]:
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"models/risk/{QUALITY}/by-day/").get("Contents", [])
    return [item["Key"].rpartition("dt=")[2].removesuffix(".json") for item in found]


def inference(command: str, *arguments: str) -> int:
    return inference_job.main([command, *COMMON, *arguments])


def train(name: str, last: date, *more: str, days: int = 7) -> str:
    """A model's key."""
    of = ["--table", "consultations", "--date", str(last), "--days", str(days)]
    assert inference("train", "--model", name, *of, *more) == 0
    return f"models/risk/{name}/dt={last}/model.ubj"


def features(days: int, last: date = TODAY) -> None:
    of = ["--table", "consultations", "--date", str(last), "--days", str(days)]
    assert generation_job.main([*COMMON, *of]) == 0


def scored_by(s3: S3Client, day: date) -> str:
    """The day of the model that scores a day."""
    assert inference("predict", "--model", QUALITY, "--table", "consultations", "--date", str(day)) == 0
    key = f"predictions/risk/consultations/dt={day}/predictions.parquet"
    [found] = set(pd.read_parquet(io.BytesIO(read(s3, key)))["model_dt"])
    return str(found)


def test_a_candidate_is_promoted_if_it_is_better(team_repo: Path, data: S3Client, run: Run) -> None:
    file, *_ = new_job(team_repo, "promote", "promote-if-better")
    states, outputs, log = run("promote", back(2))
    assert set(map(tuple, states.values())) == {(State.SUCCESS,)}
    assert "no champion yet, so chance: 0.5000; gain +0.4" in log
    first = champion(data)
    assert (first["dt"], first["days"][-1]) == (str(back(2)), str(back(5)))
    assert first["candidate"] == outputs["train"]["model"]
    assert outputs["promote"] == {"model": first["model"], "auc": first["auc"]}

    # As good as the champion is not better.
    states, outputs, log = run("promote", back(1))
    assert (states["evaluate"], states["promote"]) == ([State.SUCCESS], [State.SKIPPED])
    assert "the gate is closed: evaluate.promote is False, wanted: equals True" in log
    assert outputs["evaluate"]["gain_low"] <= 0
    assert champion(data) == first

    # A worse one of the champion's own day: the model that was promoted is not the object that training writes.
    before = read(data, first["model"])
    settings = file.read_text()
    file.write_text(settings.replace('"--days", "7"]', '"--days", "7", "--depth", "1", "--rounds", "1"]'))
    states, outputs, _ = run("promote", back(2))
    assert (states["promote"], outputs["evaluate"]["gain_high"] < 0) == ([State.SKIPPED], True)
    assert (champion(data), read(data, first["model"])) == (first, before)
    assert read(data, str(first["candidate"])) != before

    # The first run again: as before.
    file.write_text(settings)
    states, _, log = run("promote", back(2))
    assert "the candidate is the champion already" in log
    assert (states["promote"], champion(data), read(data, first["model"])) == ([State.SUCCESS], first, before)
    assert champion_days(data) == [str(back(2))]

    # A day before all champions, as in a backfill: a champion of its own, and the later one stays the latest.
    states, _, log = run("promote", back(5))
    assert "no champion yet" in log
    assert (states["promote"], champion(data)) == ([State.SUCCESS], first)
    assert champion_days(data) == [str(back(5)), str(back(2))]
    days = [back(number) for number in (1, 2, 3, 5)]
    assert [scored_by(data, day) for day in days] == [str(back(number)) for number in (2, 2, 5, 5)]


def test_models_of_several_kinds_are_blended_and_the_blend_scores(team_repo: Path, data: S3Client, run: Run) -> None:
    new_job(team_repo, "ensemble", "ensemble")
    states, outputs, log = run("ensemble", TODAY)
    assert {name: set(found) for name, found in states.items()} == dict.fromkeys(states, {State.SUCCESS})
    assert len(states["train"]) == 4
    blend = read_json(data, f"models/risk/{QUALITY}-blend/latest.json")
    assert list(blend["weights"]) == [result["model"] for result in outputs["train"]]
    assert min(blend["weights"].values()) >= 0
    assert sum(blend["weights"].values()) == pytest.approx(1)
    assert sum(weight > 0.01 for weight in blend["weights"].values()) > 1
    left = outputs["blend"]
    assert left["blend_auc"] > left["best_auc"] > 0.9
    assert (left["model"], left["auc"]) == (blend["model"], pytest.approx(left["blend_auc"]))
    assert champion(data)["candidate"] == blend["model"]
    # batch-inference's task, as it is.
    new_job(team_repo, "score", "batch-inference")
    states, outputs, log = run("score", TODAY)
    assert states["inference"] == [State.SUCCESS]
    assert f"predictions with the model of {TODAY}" in log
    assert outputs["inference"]["malignant"] > 0
    # A day of before it is scored by the model of then, also if that was trained later.
    train(QUALITY, back(7), "--rounds", "3", days=3)
    days = [back(number) for number in (0, 1, 7)]
    assert [scored_by(data, day) for day in days] == [str(TODAY), str(back(7)), str(back(7))]
    assert champion(data)["dt"] == str(TODAY)


def test_a_candidate_that_is_better_than_a_poor_champion_replaces_it(data: S3Client, run: Run, team_repo: Path) -> None:
    features(3, back(4))
    poor = train(f"{QUALITY}-old", back(4), "--depth", "1", "--rounds", "1", days=3)
    assert inference("promote", "--model", QUALITY, "--candidate", poor, "--date", str(back(3))) == 0
    new_job(team_repo, "promote", "promote-if-better")
    states, outputs, log = run("promote", TODAY)
    assert states["promote"] == [State.SUCCESS]
    assert outputs["evaluate"]["gain_low"] > 0
    assert f"the champion of {back(3)}: 0." in log
    assert champion(data)["dt"] == str(TODAY)
    # The days before it keep the model that scored them.
    assert [scored_by(data, day) for day in (back(1), TODAY)] == [str(back(3)), str(TODAY)]


def test_models_are_compared_on_the_days_that_neither_has_learned_from(
    data: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    features(6)
    # As batch-training does: up to the day itself.
    train(QUALITY, back(1), "--rounds", "3", days=4)
    candidate = train("candidate", back(3), "--rounds", "3", days=3)
    evaluate = ["--model", QUALITY, "--table", "consultations", "--candidate", candidate]
    assert inference("evaluate", *evaluate, "--date", str(TODAY), "--days", "3") == 0
    rows = len(pd.read_parquet(io.BytesIO(read(data, f"feature-store/risk/consultations/dt={TODAY}/features.parquet"))))
    assert f"\n{rows} patients of {TODAY} to {TODAY}, unseen: AUC " in capsys.readouterr().out
    assert inference("evaluate", *evaluate, "--date", str(back(1)), "--days", "3") == 1
    assert capsys.readouterr().err == (
        "inference: models must be compared on a day that neither has learned from; "
        f"of {back(3)} to {back(1)}, each is one that {candidate} or "
        f"models/risk/{QUALITY}/dt={back(1)}/model.ubj learned from\n"
    )


def test_a_champion_whose_features_are_gone_is_as_good_as_chance(
    data: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(day: date, alter: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        key = f"feature-store/risk/consultations/dt={day}/features.parquet"
        table = alter(pd.read_parquet(io.BytesIO(read(data, key))))
        data.put_object(Bucket=BUCKET, Key=key, Body=table.to_parquet(index=False))

    def evaluated(candidate: str) -> str:
        evaluate = ["--model", QUALITY, "--table", "consultations", "--candidate", candidate, "--days", "2"]
        assert inference("evaluate", *evaluate, "--date", str(TODAY)) == 0
        return capsys.readouterr().out

    features(5)
    train(QUALITY, back(2), "--rounds", "3", days=3)
    # One feature more: the champion scores without it.
    for number in range(5):
        change(back(number), lambda table: table.assign(added=1.0))
    assert f"the champion of {back(2)}: 0.9" in evaluated(train("candidate", back(2), "--rounds", "3", days=3))
    for number in range(5):
        change(back(number), lambda table: table.drop(columns=["mean_area", "worst_area"]))
    words = evaluated(train("candidate", back(2), "--rounds", "3", days=3))
    assert f"the champion of {back(2)} needs mean_area, worst_area, so chance: 0.5000" in words


def test_a_candidate_is_promoted_from_its_last_day_on_at_the_earliest(
    data: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    features(3, back(3))
    candidate = train("candidate", back(3), "--rounds", "1", days=3)
    promote = ["--model", QUALITY, "--candidate", candidate]
    assert inference("promote", *promote, "--date", str(back(4))) == 1
    message = f"inference: --date must be {back(3)} or later, the last day that the candidate learned from\n"
    assert capsys.readouterr().err == message
    assert champion_days(data) == []


def test_models_that_learned_from_other_days_or_of_a_blend_are_not_blended(
    data: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    features(5)
    keys = [train(f"of-{days}", back(1), "--rounds", "1", days=days) for days in (3, 4)]

    def refused(*models: str) -> str:
        candidates = json.dumps([{"model": model, "auc": 0.9} for model in models])
        assert inference("blend", *BLEND, "--candidates", candidates) == 1
        return capsys.readouterr().err

    assert refused(*keys) == (
        f"inference: all candidates must be trained on the same days; {keys[1]} has others than {keys[0]}\n"
    )
    assert inference("blend", *BLEND, "--candidates", json.dumps([{"model": keys[0], "auc": 0.9}])) == 0
    blend = f"models/risk/blend/dt={back(1)}/model.zip"
    assert refused(blend) == f"inference: the model must be a single one; got the blend {blend}\n"


BLEND = ["--model", "blend", "--table", "consultations", "--date", str(TODAY)]


def test_what_may_not_be_listed_is_not_taken_for_no_champion(s3: S3Client, capsys: pytest.CaptureFixture[str]) -> None:
    missing = ["--bucket", "other", "--team", "risk", "--model", QUALITY, "--table", "t", "--date", str(TODAY)]
    assert inference_job.main(["predict", *missing]) == 1
    prefix = f"s3://other/models/risk/{QUALITY}/by-day/dt="
    message = f"inference: can't list {prefix}: The specified bucket does not exist\n"
    assert capsys.readouterr().err == message


def test_weights_are_those_of_the_best_mean_and_sum_to_one() -> None:
    random = np.random.default_rng(7)
    labels = (random.random(400) < 0.4).astype(int)
    good, other, noise = (labels * 0.5 + random.normal(0.25, spread, 400) for spread in (0.2, 0.3, 5.0))
    weights = learn_weights(labels, np.column_stack([good, other, noise]))
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > weights[1] > weights[2] >= 0
    # One that is wrong wherever it says something gets no weight; where all do, they are equal.
    assert learn_weights(labels, np.column_stack([good, -good]))[1] == 0
    assert list(learn_weights(labels, np.column_stack([-good, -other]).clip(max=0))) == [0.5, 0.5]


def test_a_blend_is_kept_as_it_is() -> None:
    rows = np.random.default_rng(7).normal(size=(60, 3))
    data = xgb.DMatrix(rows, label=(rows[:, 0] > 0).astype(int))
    settings = {"objective": "binary:logistic", "nthread": 1}
    members = [xgb.train({**settings, "max_depth": depth}, data, num_boost_round=3) for depth in (1, 3)]
    blend = Blend(members, [0.25, 0.75])
    expected = 0.25 * members[0].predict(data) + 0.75 * members[1].predict(data)
    assert Blend.load(blend.save()).predict(data) == pytest.approx(expected)
    assert blend.save() == blend.save()


def test_a_gain_has_an_interval_that_holds_it_and_is_the_same_each_time() -> None:
    random = np.random.default_rng(7)
    labels = (random.random(200) < 0.4).astype(int)
    better, worse = (labels + random.normal(0, spread, 200) for spread in (0.6, 1.5))
    found = compare(labels, better, worse, 0.95)
    assert 0 < found.gain_low < found.gain < found.gain_high
    assert found.gain == pytest.approx(found.auc - found.other_auc)
    assert compare(labels, better, worse, 0.95) == found
    assert compare(labels, worse, better, 0.95).gain_high < 0
    wider = compare(labels, better, worse, 0.99)
    assert (wider.gain_low < found.gain_low, wider.gain_high > found.gain_high) == (True, True)
    same = compare(labels, better, better, 0.95)
    assert (same.gain, same.gain_low, same.gain_high) == (0, 0, 0)


def test_an_interval_holds_the_true_gain_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)

    def holds() -> bool:
        labels = np.repeat([1, 0], [30, 60])
        # Both have the same AUC.
        one, other = (labels + random.normal(0, 1, 90) for _ in range(2))
        found = compare(labels, one, other, 0.9)
        return found.gain_low <= 0 <= found.gain_high

    assert 0.6 < np.mean([holds() for _ in range(12)]) <= 1


@pytest.mark.parametrize("malignant", [0, 1, 4])
def test_too_few_patients_of_a_diagnosis_are_not_compared(malignant: int) -> None:
    labels = np.array([1] * malignant + [0] * (5 - malignant))
    with pytest.raises(TableError, match=f"there are {malignant} malignant and {5 - malignant} benign ones"):
        compare(labels, np.zeros(5), np.zeros(5), 0.95)


def test_the_pages_examples_exist_and_its_jobs_pass_the_check(team_repo: Path) -> None:
    page = (ROOT / "docs" / "workflows.md").read_text()
    named = set(re.findall(r"jobyard new [a-z-]+ --like ([a-z-]+)", page))
    assert named <= set(examples())
    assert {"promote-if-better", "ensemble", "gpu-training"} < named
    team = team_repo / "values" / "team.yaml"
    team.write_text(team.read_text().replace("[default,", "[default, gpu,"))
    written = ""
    for name, example, after in re.findall(r"jobyard new ([a-z-]+) --like ([a-z-]+)(?: --after (\S+))?", page):
        file, *_ = new_job(team_repo, name, example, [after] if after else [])
        written += file.read_text()
    assert list(map(str, check_repo(team_repo).findings)) == []
    parts = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(parts) == 2
    assert all(part in written for part in parts)
