"""Work that several processes share: the same results, whatever happens to the others."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from jobyard_cli.check.run import check_repo
from jobyard_cli.release.compile import compile_release
from jobyard_cli.system import sharing
from jobyard_cli.system.sharing import FEWEST, share

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
MANY = list(range(20 * FEWEST))


@pytest.fixture(params=[1, 2, 4])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """As many cores, whatever the machine has; threads that a test left do not matter here."""
    count: int = request.param
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)))
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    return count


def others_are_gone() -> bool:
    """Whether this process has no child left, of those that it forked."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def test_results_are_in_the_order_of_the_items(cores: int) -> None:
    assert share(MANY, lambda number: number * 2) == [number * 2 for number in MANY]
    assert others_are_gone()


def test_every_core_has_a_part(cores: int) -> None:
    here = os.getpid()
    begun, begin = os.pipe()
    free, free_one = os.pipe()
    waited: list[bool] = []

    def work(_: int) -> int:
        if os.getpid() != here and not waited:
            waited.append(True)
            os.write(begin, b"x")
            os.read(free, 1)
        return os.getpid()

    def meanwhile() -> None:
        for _ in range(cores - 1):
            os.read(begun, 1)
        os.write(free_one, b"x" * cores)

    assert len(set(share(MANY, work, meanwhile)) - {here}) == cores - 1


def test_what_is_to_be_done_meanwhile_is_done_here_once(cores: int) -> None:
    done: list[int] = []
    share(MANY, str, lambda: done.append(os.getpid()))
    assert done == [os.getpid()]


def test_another_process_that_is_killed_is_made_up_for(cores: int) -> None:
    here = os.getpid()

    def work(number: int) -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert share(MANY, work) == MANY
    assert others_are_gone()


def test_a_result_that_can_not_be_handed_over_is_made_here(cores: int) -> None:
    def work(number: int) -> Callable[[], int]:
        return lambda: number

    assert [one() for one in share(MANY, work)] == MANY


def test_an_error_in_any_process_is_raised_here(cores: int) -> None:
    def work(number: int) -> int:
        if number == MANY[-1]:
            raise LookupError(number)
        return number

    with pytest.raises(LookupError, match=str(MANY[-1])):
        share(MANY, work)
    assert others_are_gone()


def test_an_error_of_what_is_done_meanwhile_ends_the_others(cores: int) -> None:
    def meanwhile() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        share(MANY, lambda _: signal.pause(), meanwhile)
    assert others_are_gone()


@pytest.mark.parametrize("cores", [4], indirect=True)
def test_where_no_process_is_allowed_everything_happens_here(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert set(share(MANY, lambda _: os.getpid())) == {os.getpid()}


@pytest.mark.parametrize("cores", [4], indirect=True)
def test_few_items_are_not_shared(cores: int) -> None:
    assert set(share(MANY[: FEWEST - 1], lambda _: os.getpid())) == {os.getpid()}


@pytest.mark.parametrize("cores", [4], indirect=True)
def test_a_process_with_threads_is_not_forked(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert set(share(MANY, lambda _: os.getpid())) == {os.getpid()}


def fill(repo: Path, *kinds: str) -> None:
    """Fill a repository with the jobs of the fixtures, each several times, and the one that some of them name."""
    for kind in kinds:
        for folder in (FIXTURES / kind).iterdir():
            for number in range(15):
                shutil.copytree(folder, repo / "dags" / f"{folder.name}-{number}")
    shutil.copytree(FIXTURES / "valid" / "least", repo / "dags" / "least")
    assert len(list((repo / "dags").iterdir())) > FEWEST


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have everything happen in one process from now on."""

    def switch() -> None:
        monkeypatch.setattr(sharing, "FEWEST", len(MANY))

    return switch


def test_all_is_found_as_by_one_process(cores: int, team_repo: Path, alone: Callable[[], None]) -> None:
    fill(team_repo, "valid", "invalid")
    together = check_repo(team_repo)
    alone()
    by_one = check_repo(team_repo)
    assert together.findings
    assert together.warnings
    assert list(together.entries) == list(by_one.entries)
    assert replace(together, repo=by_one.repo) == by_one


def test_the_release_is_the_same_bytes_as_by_one_process(
    cores: int, team_repo: Path, alone: Callable[[], None]
) -> None:
    fill(team_repo, "valid")
    together = compile_release(team_repo, "1" * 40)
    alone()
    assert compile_release(team_repo, "1" * 40) == together
