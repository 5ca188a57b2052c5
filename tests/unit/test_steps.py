"""What a long command shows of its steps, in a log."""

from __future__ import annotations

import io
import time

import pytest
from jobyard_cli.cli import steps as module
from jobyard_cli.cli.steps import Steps
from rich.console import Console


class Clock:
    """Stands for the time module; each test moves it on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def steps(log: io.StringIO) -> Steps:
    return Steps(Console(file=log, width=module.LOG_WIDTH, force_terminal=False))


def test_a_step_that_ends_soon_is_one_line(steps: Steps, log: io.StringIO, clock: Clock) -> None:
    with steps.step("the cluster") as report:
        report("nodes")
        clock.now = 3
    assert log.getvalue() == "✓ the cluster 3.0 s\n"


def test_a_step_that_fails_says_so(steps: Steps, log: io.StringIO, clock: Clock) -> None:
    with pytest.raises(ValueError, match="broken"), steps.step("the cluster"):
        raise ValueError("broken")
    assert log.getvalue() == "✗ the cluster 0.0 s\n"


def test_a_long_step_says_every_20_seconds_what_it_is_doing(steps: Steps, log: io.StringIO, clock: Clock) -> None:
    with steps.step("programs") as report:
        for second in range(0, 50, 5):
            clock.now = float(second)
            report(f"package {second}")
    assert log.getvalue().splitlines() == [
        "  … programs: package 25 (25 s)",
        "✓ programs 45.0 s",
    ]


@pytest.mark.parametrize(
    ("share", "seconds", "left"),
    [
        (0.02, 60, ""),
        (0.1, 60, ", about 9 min left"),
        (0.5, 60, ", about 1 min left"),
        (0.5, 31, ", about 30 s left"),
        (0.99, 60, ", about 10 s left"),
        (1.0, 60, ""),
    ],
)
def test_the_time_left_is_what_the_rest_takes_at_the_pace_so_far(
    steps: Steps, log: io.StringIO, clock: Clock, share: float, seconds: float, left: str
) -> None:
    with steps.step("programs") as step:
        clock.now = 100
        step.progress(0.0, "0 of 10 packages")
        clock.now += seconds
        step.progress(share, "some packages")
    assert f"… programs: some packages{left} (" in log.getvalue()


def test_on_a_terminal_there_is_one_bar_for_the_step_that_knows_how_far_it_is() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=module.LOG_WIDTH, force_terminal=True)
    with Steps(console) as steps, steps.step("programs") as step, steps.step("Airflow") as report:
        step.progress(0.5, "5 of 10 packages")
        report("installing")
        time.sleep(0.3)
    last = [line for line in screen.getvalue().splitlines() if "programs" in line or "Airflow" in line]
    assert any("━" in line and "5 of 10 packages" in line for line in last)
    assert not any("━" in line for line in last if "installing" in line)
