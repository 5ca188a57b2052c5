"""The example jobs of a new team's repository, run on this machine with the images' own requirements."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from jobyard_cli.system.folders import cache_dir
from jobyard_local.demo.data import TABLE, write

from tests.support.command import jobyard_in

DAY = date(2026, 11, 20)
RUN = ("--day", str(DAY), "--engine", "process")


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The raw rows of ten days, as a folder."""
    folder = tmp_path / "sample"
    write(folder, "risk", DAY, 10)
    return folder


def test_a_model_is_trained_and_scores_on_a_folder_of_data(
    bake: Callable[..., Path], sample: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The images' environments are kept, as on a person's machine: making them takes a minute.
    monkeypatch.setenv("JOBYARD_CACHE", str(cache_dir()))
    repo = bake()
    jobyard = jobyard_in(repo, capsys, monkeypatch)
    for job, example in (("train", "parallel-training"), ("watch", "retrain-on-drift")):
        assert jobyard("new", job, "--like", example)[0] == 0
    runs = repo / ".jobyard" / "runs"

    code, out, err = jobyard("run", "train", *RUN, "--data", str(sample))
    assert (code, err) == (0, ""), out
    assert "5 succeeded" in out
    chosen = json.loads((runs / "train" / str(DAY) / "select" / "output.json").read_text())
    assert chosen["auc"] > 0.9
    assert (sample / chosen["model"]).is_file()

    code, out, err = jobyard("run", "watch", *RUN, "--data", str(sample))
    assert (code, err) == (0, ""), out
    assert "– train skipped: the gate is closed: drift.psi is " in out
    assert "2 succeeded, 2 skipped" in out
    assert "auc" not in (runs / "watch" / str(DAY) / "drift" / "output.json").read_text()

    code, out, err = jobyard("run", "watch", "score", *RUN, "--data", str(sample))
    assert (code, err) == (0, ""), out
    predictions = sample / "predictions" / "risk" / TABLE / f"dt={DAY}" / "predictions.parquet"
    assert predictions.is_file()
    assert "56 predictions" in (runs / "watch" / str(DAY) / "score" / "log.txt").read_text()
