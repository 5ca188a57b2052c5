"""Waiting for Airflow, step by step: a stand-in for its API, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowBusyError, AirflowError, AirflowNotFoundError, AirflowPermissionError
from jobyard_cli.aws.errors import StoreBusyError
from jobyard_cli.sync.airflow_state import ImportFailure, Watcher
from jobyard_cli.sync.wait import SETTLE_SECONDS, BrokenDagsError, NotImportableError, ReleaseTimeoutError, Wait, Waited
from jobyard_cli.system.waiting import Clock

OLD, NEW = "0" * 12, "1" * 12
PARSE_SECONDS = 30
"""How often the stand-in reads a file that it could not import before."""
Change = Callable[["StandIn"], None]


class StandIn:
    """An Airflow that changes as time goes by."""

    address = "http://airflow.example.com"

    def __init__(self) -> None:
        self.time = 0.0
        self.pages: dict[str, str] = {}
        self.known: set[str] = set()
        """DAGs that are in no list any more."""
        self.paused: set[str] = set()
        self.broken: dict[str, str] = {}
        self.listed_as_broken: set[str] = set()
        self.errors: dict[str, str] = {}
        self.busy = False
        self.read_only = False
        self.asked: list[str] = []
        self.changes: dict[float, Change] = {}

    def show(self, dag: str, digest: str = NEW) -> None:
        """Show a job as it is by that digest."""
        self.pages[dag] = digest

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.time += seconds
        for when in [when for when in self.changes if when <= self.time]:
            self.changes.pop(when)(self)

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """One call of the REST API."""
        self.asked.append(f"{method} {path}")
        if self.busy:
            raise AirflowBusyError("Airflow is away")
        match [method, *path.split("/")]:
            case ["GET", "dags"]:
                return self._page("dags", [self._dag(dag) for dag in sorted(self.pages)], query or {})
            case ["GET", "importErrors"]:
                errors = [self._error(file, trace) for file, trace in self.errors.items()]
                return self._page("import_errors", errors, query or {})
            case ["GET", "dags", dag, "details"]:
                reason = self.broken.get(dag)
                words = f"**This job is broken, and does not run:**\n\n```text\n{reason or 'Scores.'}\n```"
                words = words if reason else words.partition("\n\n")[2]
                return {"doc_md": f"{words}\n\nDigest of the job: `{self.pages[dag]}`\n\n```yaml\n```"}
            case ["GET", "dags", dag] if dag in {*self.pages, *self.known}:
                return self._dag(dag)
            case ["PATCH", *_] if self.read_only:
                raise AirflowPermissionError("Forbidden")
            case ["PATCH", "dags", dag] if dag in {*self.pages, *self.known}:
                self.paused.add(dag)
                return {}
        raise AirflowNotFoundError(path)

    def _error(self, file: str, trace: str) -> dict[str, Any]:
        parse = int(self.time // PARSE_SECONDS)
        return {"filename": file, "stack_trace": trace, "timestamp": f"2026-11-01T00:{parse:02}:00Z"}

    def _dag(self, dag: str) -> dict[str, Any]:
        tags = [{"name": "broken"}] if dag in self.listed_as_broken else []
        return {"dag_id": dag, "is_paused": dag in self.paused, "tags": tags}

    def _page(self, key: str, entries: list[dict[str, Any]], query: dict[str, Any]) -> dict[str, Any]:
        first = query["offset"]
        return {key: entries[first : first + query["limit"]], "total_entries": len(entries)}


def wait(
    airflow: StandIn,
    *jobs: str,
    changed: list[str] | None = None,
    removed: list[str] | None = None,
    superseded: Callable[[], bool] = lambda: False,
    before: dict[str, ImportFailure] | None = None,
    said: list[str] | None = None,
    timeout: float = 600,
) -> Waited:
    """Wait for a release of these jobs, all of them changed where nothing else is said."""
    client = AirflowClient(airflow).once
    watcher = Watcher(
        client, "risk", dict.fromkeys(jobs, NEW), list(jobs) if changed is None else changed, removed or []
    )
    clock = Clock(lambda: airflow.time, airflow.sleep)
    report = (said if said is not None else []).append
    return Wait(client, watcher, superseded, before or {}, report, clock).until_there(timeout)


@pytest.fixture
def airflow() -> StandIn:
    return StandIn()


def test_it_ends_as_soon_as_every_job_is_there_as_released(airflow: StandIn) -> None:
    airflow.show("risk.score", OLD)
    airflow.changes = {20: lambda it: it.show("risk.train"), 40: lambda it: it.show("risk.score")}
    assert 40 <= wait(airflow, "score", "train").seconds < 51


def test_each_jobs_page_is_asked_for_once_the_changed_ones_first(airflow: StandIn) -> None:
    for number in range(250):
        airflow.show(f"risk.job-{number}")
    wait(airflow, *(f"job-{number}" for number in range(250)), changed=["job-7"])
    pages = [call for call in airflow.asked if "details" in call]
    assert "GET dags/risk.job-7/details" in pages[:4]
    assert len(pages) == len(set(pages)) == 250
    # The list is newer than the pages, and the import errors are newer than both.
    assert [call for call in airflow.asked if call not in pages] == ["GET dags"] * 6 + ["GET importErrors"]
    assert airflow.asked[-4:] == ["GET dags"] * 3 + ["GET importErrors"]


def test_a_job_that_the_release_before_changed_is_waited_for_too(airflow: StandIn) -> None:
    """Airflow is two releases behind: this one takes back what that one did to `score`, and leaves it at `train`."""
    airflow.show("risk.score")
    airflow.show("risk.train", OLD)
    airflow.changes = {40: lambda it: it.show("risk.train")}
    assert wait(airflow, "score", "train", changed=["score"]).seconds >= 40


def test_a_release_that_changes_no_job_is_waited_for_too(airflow: StandIn) -> None:
    """A later commit of the same jobs, while Airflow does not have them yet."""
    airflow.show("risk.score", OLD)
    airflow.changes = {40: lambda it: it.show("risk.score")}
    assert wait(airflow, "score", changed=[]).seconds >= 40


def test_what_broke_between_the_list_and_a_page_is_seen(airflow: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow reads the file after it gave its list, and before it gives the page of the job that changed."""
    airflow.show("risk.score", OLD)
    airflow.show("risk.train")
    ask = airflow.call

    def call(method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        if path == "dags/risk.score/details" and "GET dags/risk.train/details" in airflow.asked:
            airflow.show("risk.score")
            airflow.broken["risk.train"] = "no node group"
            airflow.listed_as_broken.add("risk.train")
        return ask(method, path, query, body)

    monkeypatch.setattr(airflow, "call", call)
    with pytest.raises(BrokenDagsError, match="risk.train is broken in Airflow: no node group"):
        wait(airflow, "score", "train", changed=["train"])


def test_what_was_seen_as_released_is_not_asked_for_again(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.changes = {30: lambda it: it.show("risk.train")}
    wait(airflow, "score", "train")
    assert airflow.asked.count("GET dags/risk.score/details") == 1


def test_while_the_first_jobs_are_old_the_others_are_not_asked_for(airflow: StandIn) -> None:
    jobs = [f"job-{number}" for number in range(100)]
    for job in jobs:
        airflow.show(f"risk.{job}", OLD)
    with pytest.raises(ReleaseTimeoutError, match="not yet as released: risk.job-0, .* and 95 more"):
        wait(airflow, *jobs, timeout=0)
    assert sum("details" in call for call in airflow.asked) == 4


def test_other_teams_dags_are_nothing_to_it(airflow: StandIn) -> None:
    for dag in ("risk.score", "care.risk.score", "atrisk.train"):
        airflow.show(dag)
    assert wait(airflow, "score").stopped == []
    assert airflow.paused == set()


def test_a_removed_job_is_paused_once_and_waited_for_until_it_is_gone(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.show("risk.gone", OLD)
    airflow.changes = {60: lambda it: it.pages.__delitem__("risk.gone")}
    done = wait(airflow, "score")
    assert (done.stopped, done.seconds >= 60) == (["risk.gone"], True)
    assert airflow.asked.count("PATCH dags/risk.gone") == 1


def test_a_removed_job_that_may_not_be_paused_goes_unpaused(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.show("risk.gone", OLD)
    airflow.read_only = True
    airflow.changes = {60: lambda it: it.pages.__delitem__("risk.gone")}
    done = wait(airflow, "score")
    assert (done.stopped, done.unpaused) == ([], ["risk.gone"])
    assert airflow.asked.count("PATCH dags/risk.gone") == 1


def test_a_removed_job_that_is_gone_before_anybody_looked_is_paused_too(airflow: StandIn) -> None:
    """Else it would run at once when it comes back under its name."""
    airflow.show("risk.score")
    airflow.known = {"risk.gone", "risk.paused"}
    airflow.paused = {"risk.paused"}
    assert wait(airflow, "score", removed=["gone", "paused", "never-seen"]).stopped == ["risk.gone"]
    assert airflow.paused == {"risk.gone", "risk.paused"}


def test_a_removed_job_that_goes_between_two_lists_is_paused_too(
    airflow: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.show("risk.score")
    airflow.show("risk.gone", OLD)
    ask = airflow.call

    def call(method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        if path == "dags/risk.score/details":
            del airflow.pages["risk.gone"]
            airflow.known.add("risk.gone")
        return ask(method, path, query, body)

    monkeypatch.setattr(airflow, "call", call)
    assert wait(airflow, "score").stopped == ["risk.gone"]


def test_a_job_that_another_release_brought_meanwhile_is_not_paused(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.show("risk.newer")
    assert wait(airflow, "score", superseded=lambda: True).superseded
    assert airflow.paused == set()


def test_a_paused_job_of_the_release_is_told(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.paused.add("risk.score")
    assert wait(airflow, "score").paused == ["risk.score"]


def test_a_broken_job_ends_it_with_airflows_reason(airflow: StandIn) -> None:
    for dag in ("risk.score", "risk.train"):
        airflow.show(dag)
        airflow.broken[dag] = f"{dag} has no node group"
        airflow.listed_as_broken.add(dag)
    with pytest.raises(BrokenDagsError) as caught:
        wait(airflow, "score", "train", changed=[])
    assert str(caught.value).splitlines() == [
        "risk.score is broken in Airflow: risk.score has no node group",
        "risk.train is broken in Airflow: risk.train has no node group",
    ]


def test_a_broken_job_is_found_out_also_where_the_list_does_not_say_so_yet(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.broken["risk.score"] = "no node group"
    with pytest.raises(BrokenDagsError, match="risk.score is broken in Airflow: no node group"):
        wait(airflow, "score")


def test_a_job_that_a_person_tagged_as_broken_is_not(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.listed_as_broken.add("risk.score")
    assert wait(airflow, "score", changed=[]).seconds == 0


def test_a_job_that_was_broken_before_is_given_time(airflow: StandIn) -> None:
    airflow.show("risk.score", OLD)
    airflow.broken["risk.score"] = "no node group"
    airflow.listed_as_broken.add("risk.score")

    def mend(it: StandIn) -> None:
        it.show("risk.score")
        it.broken.clear()

    airflow.changes = {30: mend}
    assert wait(airflow, "score").seconds >= 30


@pytest.mark.parametrize("file", ["/dags/risk.py", "/dags/risk_3.py"])
def test_an_import_error_of_one_of_the_teams_files_ends_it_with_the_trace(airflow: StandIn, file: str) -> None:
    airflow.errors = {"/dags/care.py": "not ours", "/dags/risk_x.py": "nor this", file: "ReleaseError: no release"}
    with pytest.raises(NotImportableError) as caught:
        wait(airflow, "score")
    assert str(caught.value) == f"Airflow can't import {file}:\nReleaseError: no release"
    # As soon as Airflow has met it twice.
    assert PARSE_SECONDS <= airflow.time < PARSE_SECONDS + 11


def test_an_import_error_that_airflow_met_once_ends_nothing(airflow: StandIn) -> None:
    """One parse of a busy Airflow takes longer than it allows; the next does not."""
    airflow.show("risk.score", OLD)
    airflow.errors = {"/dags/risk.py": "AirflowTaskTimeout: DagBag import timeout for /dags/risk.py after 30.0s"}

    def parse(it: StandIn) -> None:
        it.errors.clear()
        it.show("risk.score")

    airflow.changes = {PARSE_SECONDS - 1: parse}
    assert PARSE_SECONDS - 1 <= wait(airflow, "score").seconds < PARSE_SECONDS + 11


def test_out_of_time_an_import_error_is_told_with_its_trace(airflow: StandIn) -> None:
    airflow.errors = {"/dags/risk.py": "ReleaseError: it is not a release"}
    with pytest.raises(NotImportableError, match="ReleaseError: it is not a release"):
        wait(airflow, "score", timeout=PARSE_SECONDS / 2)


def test_where_airflow_cant_read_the_file_there_is_no_success_whatever_its_pages_show(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.errors = {"/dags/risk.py": "ReleaseError: it is not a release"}
    with pytest.raises(NotImportableError):
        wait(airflow, "score", changed=[])


def test_another_teams_import_error_is_nothing_to_it(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.errors = {"/dags/care.py": "not ours", "/dags/jobyard/risk.txt": "nor this"}
    assert wait(airflow, "score").seconds == 0


def test_an_import_error_that_was_there_before_is_given_time_to_go(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.errors = {"risk.py": "of the release before"}
    airflow.changes = {60: lambda it: it.errors.clear()}
    assert wait(airflow, "score", before={"risk.py": ImportFailure("of the release before")}).seconds >= 60


def test_an_import_error_that_stays_is_believed_in_the_end(airflow: StandIn) -> None:
    airflow.errors = {"risk.py": "for ever"}
    with pytest.raises(NotImportableError):
        wait(airflow, "score", before={"risk.py": ImportFailure("for ever")})
    assert airflow.time >= SETTLE_SECONDS


def test_out_of_time_it_says_what_is_not_there_and_that_it_may_come(airflow: StandIn) -> None:
    airflow.show("risk.score", OLD)
    airflow.show("risk.gone", OLD)
    with pytest.raises(ReleaseTimeoutError) as caught:
        wait(airflow, "score", "train", timeout=30)
    assert str(caught.value).splitlines() == [
        "Airflow does not have the release after 30 s: not there yet: risk.train; not yet as released: risk.score; "
        "removed but still there: risk.gone",
        "it is in the bucket, and Airflow may still load it (on MWAA up to 5 minutes later): run this again",
    ]


def test_it_says_how_far_it_is_about_every_15_seconds(airflow: StandIn) -> None:
    said: list[str] = []
    airflow.changes = {120: lambda it: it.show("risk.score")}
    wait(airflow, "score", said=said)
    assert 5 <= len(said) <= 8
    assert said[0].startswith("waiting for Airflow, ")
    assert said[0].endswith(" s: not there yet: risk.score")


def test_an_airflow_that_is_away_for_a_while_is_waited_for(airflow: StandIn) -> None:
    airflow.show("risk.score")
    airflow.busy = True
    airflow.changes = {50: lambda it: setattr(it, "busy", False)}
    assert wait(airflow, "score").seconds >= 50


def test_an_airflow_that_stays_away_is_told(airflow: StandIn) -> None:
    airflow.busy = True
    with pytest.raises(ReleaseTimeoutError, match="after 20 s: Airflow is away"):
        wait(airflow, "score", timeout=20)


def test_an_airflow_that_refuses_ends_it_at_once(airflow: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AirflowError("403")

    monkeypatch.setattr(airflow, "call", refuse)
    with pytest.raises(AirflowError, match="403"):
        wait(airflow, "score")
    assert airflow.time == 0


@pytest.mark.parametrize("trouble", ["broken", "import error", "out of time"])
def test_what_a_later_release_did_is_not_this_ones_failure(airflow: StandIn, trouble: str) -> None:
    airflow.show("risk.score")
    if trouble == "broken":
        airflow.broken["risk.score"] = "no node group"
    if trouble == "import error":
        airflow.errors["risk.py"] = "a later release's"
    jobs = ["score"] if trouble == "broken" else ["score", "not-there"]
    assert wait(airflow, *jobs, superseded=lambda: True, timeout=5).superseded


def test_a_later_release_is_looked_for_as_seldom_as_something_is_said(airflow: StandIn) -> None:
    looks: list[float] = []

    def look() -> bool:
        looks.append(airflow.time)
        return False

    with pytest.raises(ReleaseTimeoutError):
        wait(airflow, "score", superseded=look, timeout=150)
    assert len(looks) <= 150 / 15 + 1


def test_a_bucket_that_does_not_answer_for_a_while_ends_nothing(airflow: StandIn) -> None:
    airflow.show("risk.score", OLD)
    airflow.show("risk.gone", OLD)

    def superseded() -> bool:
        if airflow.time < 100:
            raise StoreBusyError("SlowDown")
        return False

    def take(it: StandIn) -> None:
        it.show("risk.score")
        del it.pages["risk.gone"]

    airflow.changes = {200: take}
    done = wait(airflow, "score", superseded=superseded)
    # A job that another release may have brought is not paused before it is known to be missing.
    assert (done.stopped, done.seconds >= 200) == (["risk.gone"], True)


def test_a_bucket_that_stays_away_is_told_at_the_deadline(airflow: StandIn) -> None:
    def superseded() -> bool:
        raise StoreBusyError("SlowDown")

    airflow.show("risk.score", OLD)
    with pytest.raises(ReleaseTimeoutError, match="after 60 s: SlowDown"):
        wait(airflow, "score", superseded=superseded, timeout=60)
