"""The days of the demo's story."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import yaml
from jobyard_local.demo.story import SCORING_TIME, newest_scored_day

from tests.support.paths import ROOT

EXAMPLE = ROOT / "scripts/jobyard_cli/team/examples/batch-inference/job.yaml"


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 11, 28, 1, 59, tzinfo=UTC), date(2026, 11, 26)),
        (datetime(2026, 11, 28, 2, 0, tzinfo=UTC), date(2026, 11, 27)),
        (datetime(2026, 11, 28, 23, 59, tzinfo=UTC), date(2026, 11, 27)),
    ],
)
def test_the_training_is_of_the_day_that_the_scheduler_scores_first(now: datetime, day: date) -> None:
    assert newest_scored_day(now) == day


def test_the_time_is_the_examples() -> None:
    schedule = yaml.safe_load(EXAMPLE.read_text())["schedule"]
    assert schedule == f"0 {SCORING_TIME.seconds // 3600} * * *"
