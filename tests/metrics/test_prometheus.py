"""What pods used, read from a real Prometheus with a recorded day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from jobyard_metrics import nodes, pods
from jobyard_metrics.errors import SourceError, TooLargeError
from jobyard_metrics.patience import Patience
from jobyard_metrics.pods import Tries
from jobyard_metrics.sources import prometheus as source
from jobyard_metrics.sources.airflow import Try
from jobyard_metrics.sources.prometheus import Usage
from jobyard_metrics.sources.prometheus_api import PrometheusApi

from tests.metrics.recorded import GIB

START = datetime(2026, 11, 25, tzinfo=UTC)
END = START + timedelta(days=1)


@pytest.fixture(scope="module")
def usage(recorded: str) -> Usage:
    """All of the day."""
    return source.collect(PrometheusApi(recorded, Patience(60)), START, END)


@pytest.fixture
def rows(usage: Usage) -> dict[str, dict[str, Any]]:
    """The day's pods by name, without any try of Airflow's."""
    placed = {row["node"]: row for row in nodes.rows(usage, START, END)}
    return {row["name"]: row for row in pods.rows(pods.Cluster(usage, Tries([]), placed, START, END))}


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_pods_of_teams_that_existed_in_the_day_have_a_row(rows: dict[str, dict[str, Any]]) -> None:
    others = ["brief", "evicted", "from-yesterday", "into-tomorrow", "killed", "short", "unseen", "usual"]
    assert sorted(rows) == sorted([*others, "one-killed", "two-lost", "three"])


def test_a_pod_has_what_it_asked_for_and_where_it_ran(rows: dict[str, dict[str, Any]]) -> None:
    expected = {
        "uid": "uid-usual",
        "team": "risk",
        "job": "score",
        "run_id": "run-1",
        "task": "train",
        "map_index": -1,
        "try_number": 1,
        "node": "node-a",
        "node_group": "default",
        "instance_type": "m6i.xlarge",
        "capacity_type": "spot",
        "image": "registry/inference@sha256:1",
        "created": after(36_000),
        "scheduled": after(36_003),
        "started": after(36_020),
        "ended": after(36_595),
        "reason": "Completed",
        "requested_cpu": 1,
        "requested_memory": 4 * GIB,
        "requested_gpu": 0,
        "memory_limit": 4 * GIB,
    }
    assert {name: rows["usual"][name] for name in expected} == expected


def test_usage_is_that_of_the_samples(rows: dict[str, dict[str, Any]]) -> None:
    usual = rows["usual"]
    # From 36,030 to 36,600 s, each 15 s; half a core from 36,020 s on.
    assert usual["samples"] == 39
    assert usual["cpu_seconds"] == pytest.approx(290)
    assert (usual["cpu_peak"], usual["cpu_p95"]) == (pytest.approx(0.5), pytest.approx(0.5))
    assert usual["throttled_seconds"] == pytest.approx(58)
    assert (usual["memory_peak"], usual["memory_working_set"]) == (GIB, GIB // 2)


def test_a_short_pod_has_its_true_peak(rows: dict[str, dict[str, Any]]) -> None:
    short = rows["short"]
    assert (short["samples"], short["memory_peak"]) == (1, GIB)
    # The mean since its start is the only rate that one sample gives.
    assert short["cpu_seconds"] == pytest.approx(30)
    assert short["cpu_peak"] == short["cpu_p95"] == pytest.approx(2)


def test_the_pods_own_cgroup_has_the_peak_that_its_container_never_showed(
    rows: dict[str, dict[str, Any]],
) -> None:
    brief = rows["brief"]
    assert (brief["samples"], brief["memory_peak"], brief["memory_working_set"]) == (1, 3 * GIB, 3 * GIB // 2)
    assert brief["cpu_seconds"] == pytest.approx(5.5)


@pytest.mark.parametrize("late", ["", "base"])
def test_the_counter_that_was_sampled_last_has_what_the_pod_used(late: str) -> None:
    schema = ["namespace", "pod", "container", "id", "time", "value"]
    early = "base" if late == "" else ""
    rows = [
        ("team-risk", "short", early, "/a", 10.0, 0.02),
        ("team-risk", "short", early, "/a", 20.0, 0.02),
        ("team-risk", "short", late, "/b", 24.0, 0.03),
        ("team-risk", "short", late, "/b", 29.0, 1.03),
    ]
    started = {("team-risk", "short", ""): 8.0, ("team-risk", "short", "base"): 23.0}
    samples = [pl.DataFrame(rows, schema=schema, orient="row")]
    used = source.cpu_of(samples, started, 0.0)["team-risk", "short"]
    assert (used.seconds, used.peak, used.last) == (1.03, 0.2, 29.0)


def test_a_pod_without_a_sample_has_no_usage(rows: dict[str, dict[str, Any]]) -> None:
    unseen = rows["unseen"]
    used = ("cpu_seconds", "cpu_peak", "cpu_p95", "throttled_seconds", "memory_peak", "memory_working_set")
    assert unseen["samples"] == 0
    assert {unseen[name] for name in used} == {None}
    assert (unseen["requested_cpu"], unseen["reason"]) == (1, None)
    # Without a completion, when kube-state-metrics last had it.
    assert unseen["ended"] == after(41_055)


def test_a_pod_over_midnight_has_the_days_part(rows: dict[str, dict[str, Any]]) -> None:
    first, last = rows["from-yesterday"], rows["into-tomorrow"]
    times = ("created", "scheduled", "started", "ended")
    assert [first[name] for name in times] == [START, START, START, after(1795)]
    assert first["cpu_seconds"] == pytest.approx(900)
    assert first["throttled_seconds"] == pytest.approx(180)
    assert [last[name] for name in times] == [after(82_800), after(82_803), after(82_820), END]
    assert last["cpu_seconds"] == pytest.approx((86_385 - 82_820) / 2)
    assert last["reason"] is None


@pytest.mark.parametrize(("name", "reason"), [("killed", "OOMKilled"), ("evicted", "Evicted")])
def test_a_pod_has_the_reason_of_its_end(rows: dict[str, dict[str, Any]], name: str, reason: str) -> None:
    assert rows[name]["reason"] == reason


def test_every_node_has_its_time(usage: Usage) -> None:
    found = {row["node"]: row for row in nodes.rows(usage, START, END)}
    assert sorted(found) == ["node-a", "node-b", "node-c"]
    assert (found["node-a"]["started"], found["node-a"]["ended"]) == (START, END)
    assert (found["node-b"]["started"], found["node-b"]["ended"]) == (after(3600), after(7200))
    assert (found["node-a"]["cpu"], found["node-a"]["memory"], found["node-a"]["gpu"]) == (4, 16 * GIB, 0)
    assert [found[name]["capacity_type"] for name in sorted(found)] == ["spot", "on-demand", "spot"]


def test_a_day_takes_few_requests(api: PrometheusApi) -> None:
    source.collect(api, START, END)
    assert api.requests_made == 48


def test_a_day_without_data_is_empty(api: PrometheusApi) -> None:
    usage = source.collect(api, START - timedelta(days=30), END - timedelta(days=30))
    assert list(pods.rows(pods.Cluster(usage, Tries([]), {}, START, END))) == []
    assert list(nodes.rows(usage, START, END)) == []


def test_a_wrong_query_is_refused_with_prometheus_words(api: PrometheusApi) -> None:
    with pytest.raises(SourceError, match=r"refused POST /api/v1/query \(400\): .*parse error"):
        api.query("max(", START)


def test_what_is_too_large_is_split(recorded: str, api: PrometheusApi, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, ask = source.collect(api, START, END), PrometheusApi._ask
    calls = []

    def limited(self: PrometheusApi, query: str, at: datetime) -> Any:
        found = ask(self, query, at)
        calls.append(at)
        if sum(len(one.samples) for one in found) > 100:
            raise TooLargeError("query processing would load too many samples into memory in query execution")
        return found

    monkeypatch.setattr(PrometheusApi, "_ask", limited)
    parts = source.collect(api, START, END)
    assert len(calls) > 48
    assert parts.cpu == whole.cpu
    assert parts.containers == whole.containers


def attempt(run_id: str, task: str = "train", number: int = 1, begin: float = 36_000, ended: float = 36_600) -> Try:
    times = {"queued": after(begin), "started": after(begin), "ended": after(ended)}
    return Try("risk", "score", run_id, task, -1, number, "success", **times)


CAUSES = {("risk", "one-killed"): "out of memory", ("risk", "two-lost"): "lost"}


@pytest.mark.parametrize("causes", [CAUSES, {}])
def test_each_pod_of_a_try_has_its_own_end(usage: Usage, causes: dict[tuple[str, str], str]) -> None:
    tries = Tries([attempt("run-11", "grow", begin=52_090, ended=54_480)])
    rows = {row["name"]: row for row in pods.rows(pods.Cluster(usage, tries, {}, START, END, causes))}
    of_try = [rows[name] for name in ("one-killed", "two-lost", "three")]
    assert {(row["team"], row["job"], row["run_id"], row["task"], row["try_number"]) for row in of_try} == {
        ("risk", "score", "run-11", "grow", 1)
    }
    # When kube-state-metrics last had the first; the second was there still when the third was made.
    assert [row["ended"] for row in of_try] == [after(52_395), after(53_450), after(54_445)]
    # The second asked for more memory than the first, and the third for the same.
    assert [row["reason"] for row in of_try] == ["OOMKilled", "Lost" if causes else None, "Completed"]


def test_a_pod_whose_replacement_nobody_saw_ends_before_its_try(usage: Usage) -> None:
    tries = Tries([attempt("run-3", ended=41_600)])
    found = [
        {row["name"]: row for row in pods.rows(pods.Cluster(usage, tries, {}, START, END, causes))}["unseen"]["ended"]
        for causes in ({}, {("risk", "unseen"): "lost"}, {("care", "unseen"): "lost"})
    ]
    assert found == [after(41_600), after(41_055), after(41_600)]


@pytest.mark.parametrize(("cause", "reason"), [(None, "Evicted"), ("lost", "Evicted"), ("out of memory", "OOMKilled")])
def test_a_lost_pods_own_reason_says_more(usage: Usage, cause: str | None, reason: str) -> None:
    causes = {("risk", "evicted"): cause} if cause else {}
    rows = {row["name"]: row for row in pods.rows(pods.Cluster(usage, Tries([]), {}, START, END, causes))}
    assert rows["evicted"]["reason"] == reason


def test_a_pod_is_joined_to_its_try(usage: Usage) -> None:
    known = [attempt("run-1"), attempt("elsewhere"), attempt("run-3", ended=41_030)]
    tries = [*known, attempt("run 5", begin=82_800, ended=90_000)]
    rows = {row["name"]: row for row in pods.rows(pods.Cluster(usage, Tries(tries), {}, START, END))}
    assert rows["usual"]["run_id"] == "run-1"
    # Its label has another value, but no other try of the task ran then.
    assert rows["into-tomorrow"]["run_id"] == "run 5"
    # Nobody saw its end but Airflow.
    assert rows["unseen"]["ended"] == after(41_030)


@pytest.mark.parametrize(
    ("run_id", "label"),
    [
        ("run-1", "run-1"),
        ("scheduled__2026-03-01T19:00:00+00:00", "scheduled__2026-03-01T1900000000-05d3f3a0b"),
        ("x" * 64, "x" * 53 + "-c1bb4f81d"),
        ("_x_", "x-c72b28028"),
    ],
)
def test_a_label_is_shortened_as_airflow_does(run_id: str, label: str) -> None:
    assert pods.label_value(run_id) == label
