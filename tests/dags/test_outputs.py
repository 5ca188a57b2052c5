"""What a task leaves for those after it."""

import json
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from jobyard.compat import AirflowFailException
from jobyard.errors import OutputError
from jobyard.operator import JobPodOperator
from jobyard.output_values import read_list, read_output
from support import Bucket, job, run, task

URL = "registry.example.com/risk/inference@sha256:0123"
RETRIES = {"attempts": 3, "delay": 0, "backoff": "none", "max_delay": None}
PATH = "/airflow/xcom/return.json"


def first(**changes: Any) -> dict[str, Any]:
    """Return the entry of a task that another needs the output of."""
    return task(**{"image": URL, "output": True, "retries": RETRIES, **changes})


@pytest.mark.usefixtures("database")
def test_any_value_arrives(bucket: Bucket, cluster: FakeCluster) -> None:
    values = [0, 1.5, False, True, "", "text", "{{ ds }}", [], [1, "a"], {}, {"auc": {"test": 0}}]
    names = [f"a{number}" for number in range(len(values))]
    cluster.leave(b="", **{name: json.dumps(value) for name, value in zip(names, values, strict=True)})
    last = task(image=URL, args=[f"{{{{ outputs.{name} | tojson }}}}" for name in names], needs=names)
    found = run(bucket, tasks={**{name: first() for name in names}, "b": last})
    assert set(found.values()) == {("success", 1)}
    assert [json.loads(argument) for argument in cluster.container("b")["args"]] == values


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (None, f"the container wrote nothing to {PATH}, and another task needs its output"),
        ("", f"the container wrote nothing to {PATH}, and another task needs its output"),
        ("null", f"the output in {PATH} must not be null, as another task needs a value"),
        (
            json.dumps("ä" * 4094, ensure_ascii=False),
            f"the output in {PATH} must be smaller than 4096 bytes; store larger data in S3",
        ),
        (
            "{'auc': 1}",
            f"the output in {PATH} is not JSON: Expecting property name enclosed in double quotes:"
            " line 1 column 2 (char 1); it begins \"{'auc': 1}\"",
        ),
        (
            '{"auc": NaN}',
            f"the output in {PATH} is not JSON: NaN is not a number; it begins '{{\"auc\": NaN}}'",
        ),
        ("[" * 4000, f"the output in {PATH} is nested deeper than 32 levels"),
        ("[" * 40 + "]" * 40, f"the output in {PATH} is nested deeper than 32 levels"),
        ('{"n": 1e999}', f"the output in {PATH} contains a number that is not finite"),
        (str(2**63), f"the output in {PATH} contains an integer of more than 64 bits"),
        ('["a\\u0000b"]', f"the output in {PATH} contains a string with a NUL character"),
        (
            '{"\\ud800": 1}',
            f"the output in {PATH} contains a string that is not Unicode: surrogates not allowed",
        ),
    ],
)
def test_an_output_that_is_none_says_so(message: str | None, words: str) -> None:
    with pytest.raises(OutputError) as raised:
        read_output(message)
    assert str(raised.value) == words
    assert isinstance(raised.value, AirflowFailException)


def test_a_foreach_needs_a_list() -> None:
    assert read_list("[0]") == [0]
    with pytest.raises(OutputError) as raised:
        read_list('{"a": 1}')
    assert str(raised.value) == (f"the output in {PATH} must be a list, as a foreach uses it; got {{'a': 1}}")


def test_one_byte_less_than_the_kubelet_cuts_off_is_read() -> None:
    assert read_output(json.dumps("a" * 4093)) == "a" * 4093


@pytest.mark.usefixtures("database")
def test_a_task_without_the_output_that_another_needs_fails_at_once(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.states = [ended(0)]
    tasks = {"a": first(), "b": task(image=URL, needs=["a"])}
    assert run(bucket, tasks=tasks)["a"] == ("failed", 1)
    assert cluster.ran() == ["a"]
    assert cluster.pods == {}


@pytest.mark.usefixtures("database")
def test_what_nobody_needs_may_be_anything(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.leave(a="not JSON")
    assert run(bucket, tasks={"a": task(image=URL)}) == {"a": ("success", 1)}


def test_no_sidecar_reads_it(bucket: Bucket) -> None:
    operator = bucket.dag(job(tasks={"a": first()})).get_task("a")
    assert isinstance(operator, JobPodOperator)
    spec = operator.build_pod_request_obj().spec
    assert [container.name for container in spec.containers] == ["base"]
    assert (spec.volumes, spec.containers[0].termination_message_path) == ([], PATH)
    assert operator.do_xcom_push is True
