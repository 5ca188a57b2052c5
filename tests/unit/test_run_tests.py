"""The lanes of `make test`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from run_tests import Finished, Lane, lanes, run

from tests.support.git import git
from tests.support.paths import ROOT


def lane(name: str, program: str) -> Lane:
    return Lane(name, [sys.executable, "-c", program])


def test_all_lanes_run_and_a_failure_is_the_result(capfd: pytest.CaptureFixture[str]) -> None:
    code = run(lane("first", "print('one')"), lane("second", "print('two'); exit(3)"), lane("third", "print('three')"))
    lines = capfd.readouterr().out.splitlines()
    assert code == 3
    assert {"first │ one", "second │ two", "third │ three"} <= set(lines)
    assert [line.split()[:2] for line in lines[-3:]] == [["first", "passed"], ["second", "failed"], ["third", "passed"]]


def test_the_last_lines_name_what_failed(capfd: pytest.CaptureFixture[str]) -> None:
    quoted = "E   FAILED tests/dags/test_b.py::test_two - assert 1 == 2"
    said = ["tests/a.py::test_one FAILED [ 5%]", quoted, "FAILED tests/a.py::test_one - AssertionError", quoted]
    run(lane("first", f"print({chr(10).join(said)!r}); exit(1)"), lane("second", "print('two')"))
    assert capfd.readouterr().out.splitlines()[-4:-2] == [
        "first │ FAILED tests/dags/test_b.py::test_two - assert 1 == 2",
        "first │ FAILED tests/a.py::test_one - AssertionError",
    ]


def test_a_time_is_in_minutes_and_seconds() -> None:
    assert str(Finished("airflow", 0, 425.6)) == "airflow      passed    7 min 06 s"


def folders(commands: Sequence[Sequence[str]]) -> list[str]:
    return sorted(word for command in commands for word in command if word.startswith("tests/"))


def test_every_folder_of_tests_is_in_a_lane() -> None:
    listed = git(ROOT, "ls-files", "tests/*/test_*.py")
    # tests/airflow runs these in environments with Airflow.
    expected = {Path(name).parent.as_posix() for name in listed.splitlines()} - {
        "tests/dags",
        "tests/dags/following",
        "tests/dags/live",
    }
    assert folders([lane.command for lane in lanes()]) == sorted(expected)
