"""Going on only if the output of another task passes a test."""

from typing import Any

import pytest
from fake_cluster import FakeCluster
from jobyard.compat import AirflowFailException
from jobyard.contract import GATE_TESTS
from jobyard.errors import GateError
from jobyard.output_values import TESTS
from jobyard.outputs import Gate
from support import Bucket, context, job, run, states, task

URL = "registry.example.com/risk/inference@sha256:0123"
RETRIES = {"attempts": 3, "delay": 0, "backoff": "none", "max_delay": None}


def drift() -> dict[str, Any]:
    """Return the entry of the task whose output is tested."""
    return task(image=URL, output=True)


def gated(test: str, bound: object, value: str | None = "psi", **changes: Any) -> dict[str, Any]:
    """Return the entry of a task behind a gate."""
    gate = {"output_of": "drift", "value": value, "test": test, "bound": bound}
    return task(**{"image": URL, "needs": ["drift"], "gate": gate, "retries": RETRIES, **changes})


def judge(monkeypatch: pytest.MonkeyPatch, output: object, test: str, bound: object, value: str | None) -> Any:
    """Return what the gate says of that output."""
    monkeypatch.setattr("jobyard.outputs.pull_output", lambda context, task: output)
    return Gate("drift", value, test, bound).holds(context())


@pytest.mark.parametrize(
    ("test", "below", "same", "above"),
    [
        ("above", False, False, True),
        ("at_least", False, True, True),
        ("below", True, False, False),
        ("at_most", True, True, False),
        ("equals", False, True, False),
    ],
)
def test_the_tests(monkeypatch: pytest.MonkeyPatch, test: str, below: bool, same: bool, above: bool) -> None:
    found = [judge(monkeypatch, {"psi": figure}, test, 0.5, "psi")[0] for figure in (0.4, 0.5, 1.0)]
    assert found == [below, same, above]


@pytest.mark.parametrize(
    ("output", "bound", "holds"),
    [
        ("yes", "yes", True),
        ("yes", "no", False),
        (True, True, True),
        (1, True, False),
        (False, 0, False),
        ({"a": [1]}, {"a": [1]}, True),
        (1, 1.0, True),
        (0.0, 0, True),
        ("1", 1, False),
    ],
)
def test_equals_compares_any_value_and_does_not_take_a_figure_for_a_truth(
    monkeypatch: pytest.MonkeyPatch, output: object, bound: object, holds: bool
) -> None:
    assert judge(monkeypatch, output, "equals", bound, None)[0] is holds


def test_the_log_says_what_was_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    output = {"report": {"psi": 0.3}}
    assert judge(monkeypatch, output, "at_most", 0.2, "report.psi") == (
        False,
        "drift.report.psi is 0.3, wanted: at most 0.2",
    )


@pytest.mark.parametrize(
    ("output", "value", "words"),
    [
        ({"auc": 1, "b": 2}, "psi", "no 'psi' in the output of task 'drift'; there is: auc, b"),
        ({"a": {"x": 1}}, "a.b", "no 'a.b' in the output of task 'drift'; there is: x"),
        ([0.3], "psi", "no 'psi' in the output of task 'drift'; there is: [0.3]"),
        ({"psi": "0.3"}, "psi", "drift.psi is '0.3', wanted: below 0.2; the value must be a number"),
        ({"psi": None}, "psi", "drift.psi is None, wanted: below 0.2; the value must be a number"),
        (True, None, "drift is True, wanted: below 0.2; the value must be a number"),
    ],
)
def test_what_cannot_be_judged_fails_for_good(
    monkeypatch: pytest.MonkeyPatch, output: object, value: str | None, words: str
) -> None:
    with pytest.raises(GateError) as raised:
        judge(monkeypatch, output, "below", 0.2, value)
    assert str(raised.value) == words
    assert isinstance(raised.value, AirflowFailException)


BOUND_OF_NOTHING = "tasks.train.gate.bound: must be a string or a whole number or a number or true or false, not null"


@pytest.mark.parametrize(
    ("test", "bound", "words"),
    [
        ("over", 1, "tasks.train.gate.test: must be one of above, at_least, below, at_most, equals; got 'over'"),
        ("above", "0.2", "gate on 'drift': 'above' must be a number; got '0.2'"),
        ("above", True, "gate on 'drift': 'above' must be a number; got True"),
        (
            "below",
            None,
            BOUND_OF_NOTHING,
        ),
    ],
)
def test_a_gate_that_is_none_makes_the_job_a_broken_one(bucket: Bucket, test: str, bound: object, words: str) -> None:
    dag = bucket.dag(job(tasks={"drift": drift(), "train": gated(test, bound)}))
    assert dag.description == f"Broken: {words}"


@pytest.mark.usefixtures("database")
class TestByAirflow:
    """Whole runs."""

    def test_an_open_gate(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.leave(drift='{"psi": 0.3}', train="")
        assert run(bucket, tasks={"drift": drift(), "train": gated("above", 0.2)}) == {
            "drift": ("success", 1),
            "train": ("success", 1),
        }
        assert cluster.ran() == ["drift", "train"]

    def test_a_closed_gate_skips_what_is_behind_it_and_nothing_else(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.leave(drift='{"psi": 0.1}', report="")
        tasks = {
            "drift": drift(),
            "train": gated("above", 0.2),
            "publish": task(image=URL, needs=["train"]),
            "report": task(image=URL, needs=["drift"]),
        }
        assert states(bucket, tasks=tasks) == {
            "drift": "success",
            "train": "skipped",
            "publish": "skipped",
            "report": "success",
            "job.finished": "success",
        }
        assert cluster.ran() == ["drift", "report"]

    def test_a_gate_that_cannot_be_judged_is_not_tried_again(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.leave(drift='{"auc": 0.1}')
        assert run(bucket, tasks={"drift": drift(), "train": gated("above", 0.2)})["train"] == ("failed", 1)
        assert cluster.ran() == ["drift"]

    def test_a_gate_before_a_task_with_foreach_skips_every_instance(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.leave(drift='{"psi": 0.1}')
        each = {"items": ["a", "b"], "output_of": None, "concurrency": None}
        found = states(bucket, tasks={"drift": drift(), "train": gated("above", 0.2, foreach=each)})
        assert found == {"drift": "success", "train": ["skipped", "skipped"], "job.finished": "skipped"}
        assert cluster.ran() == ["drift"]


def test_every_test_of_a_gate_is_one_that_can_be_made() -> None:
    assert list(TESTS) == list(GATE_TESTS)
