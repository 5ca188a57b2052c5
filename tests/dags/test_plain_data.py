"""Nothing that a pod, a release or a person hands over becomes anything but plain data in Airflow."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from jobyard.compat import AIRFLOW_3
from jobyard.errors import IntervalError, PlainDataError
from jobyard.interval import data_interval
from jobyard.operator import JobPodOperator
from jobyard.outputs import KEY
from jobyard.plain import decode, encode, plain
from support import NO_RETRIES, Bucket, context, core_dag, job, states, task

URL = "registry.example.com/risk/inference@sha256:0123"
PATH_CLASS = "airflow.sdk.io.path.ObjectStoragePath" if AIRFLOW_3 else "airflow.io.path.ObjectStoragePath"


def hostile(path: Path) -> list[Any]:
    """Return values of which Airflow's serialization would make objects that open that path, in every form it has."""
    data = {"path": f"file://{path}", "conn_id": None, "kwargs": {}}
    new = {"__classname__": PATH_CLASS, "__version__": 1, "__data__": data}
    old = {"__type": PATH_CLASS, "__var": data}
    call = {"__type": "dict", "__var": {"exc_cls_name": "os.mkdir", "args": [str(path)], "kwargs": {}}}
    return [
        new,
        old,
        [new],
        {"a": {"b": [old]}},
        {"__classname__": "builtins.tuple", "__version__": 1, "__data__": [new]},
        {"__type": "airflow_exc_ser", "__var": call},
        {"__type": "base_exc_ser", "__var": call},
        {"__type": "base_trigger", "__var": ["os.mkdir", {"__type": "dict", "__var": {"path": str(path)}}]},
        {"__type": "dict", "__var": {"a": old}},
        {"__type": "connection", "__var": {"conn_id": "x", "uri": "http://x"}},
        {"__type": "xcom_ref", "__var": {"task_id": "x", "key": "y"}},
        {"__class": "airflow.models.param.Param", "default": new},
    ]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Airflow's serialization has made a path of, which is what an attack is after."""
    if AIRFLOW_3:
        from airflow.sdk import ObjectStoragePath
    else:
        from airflow.io.path import ObjectStoragePath
    found: list[Any] = []

    def deserialize(data: Any, version: int) -> Any:
        found.append(data)
        return ObjectStoragePath(data["path"])

    monkeypatch.setattr(ObjectStoragePath, "deserialize", staticmethod(deserialize))
    return found


@pytest.mark.usefixtures("database")
class TestOutputs:
    """What a pod leaves, by Airflow's own machinery."""

    def test_is_kept_as_it_is(self, bucket: Bucket, cluster: FakeCluster, made: list[Any], tmp_path: Path) -> None:
        values = hostile(tmp_path / "touched")
        names = [f"a{number}" for number in range(len(values))]
        cluster.leave(b="", **{name: json.dumps(value) for name, value in zip(names, values, strict=True)})
        first = task(image=URL, output=True, retries=NO_RETRIES)
        last = task(image=URL, args=[f"{{{{ outputs.{name} | tojson }}}}" for name in names], needs=names)
        found = states(bucket, tasks={**dict.fromkeys(names, first), "b": last})
        assert set(found.values()) == {"success"}
        assert [json.loads(argument) for argument in cluster.container("b")["args"]] == values
        assert (made, list(tmp_path.iterdir())) == ([], [])

    @pytest.mark.parametrize("method", ["read_text()", "write_text('x')", "path", "unlink()", "items", "pop('path')"])
    def test_has_no_methods(self, bucket: Bucket, cluster: FakeCluster, tmp_path: Path, method: str) -> None:
        target = tmp_path / "target"
        target.write_text("secret")
        cluster.leave(b="", a=json.dumps(hostile(target)[1]))
        first = task(image=URL, output=True, retries=NO_RETRIES)
        last = task(image=URL, args=[f"{{{{ outputs.a.{method} }}}}"], needs=["a"], retries=NO_RETRIES)
        assert states(bucket, tasks={"a": first, "b": last}) == {"a": "success", "b": "failed"}
        assert (cluster.ran(), target.read_text()) == (["a"], "secret")

    def test_is_an_item_as_it_is(self, bucket: Bucket, cluster: FakeCluster, made: list[Any], tmp_path: Path) -> None:
        values = hostile(tmp_path / "touched")
        cluster.leave(a=json.dumps(values), c="")
        # What an item's pod leaves, a foreach after it has as its item.
        cluster.ends["b"] = lambda pod: ended(0, pod["spec"]["containers"][0]["args"][0])
        each = {"items": None, "concurrency": None}
        item = ["{{ item | tojson }}"]
        tasks = {
            "a": task(image=URL, output=True, retries=NO_RETRIES),
            "b": task(image=URL, args=item, needs=["a"], output=True, foreach={**each, "output_of": "a"}),
            "c": task(image=URL, args=item, needs=["b"], foreach={**each, "output_of": "b"}),
        }
        found = states(bucket, tasks=tasks, max_active_runs=1)
        assert (found["a"], set(found["b"]), set(found["c"])) == ("success", {"success"}, {"success"})
        pods = [pod for pod in cluster.created if pod["metadata"]["labels"]["jobyard.dev/task"] == "c"]
        given = [json.loads(pod["spec"]["containers"][0]["args"][0]) for pod in pods]
        assert sorted(given, key=str) == sorted(values, key=str)
        assert (made, list(tmp_path.iterdir())) == ([], [])

    def test_is_compared_as_it_is(self, bucket: Bucket, cluster: FakeCluster, made: list[Any], tmp_path: Path) -> None:
        value = hostile(tmp_path / "touched")[1]
        cluster.leave(a=json.dumps(value), b="")
        gate = {"output_of": "a", "value": "__var.path", "test": "equals", "bound": value["__var"]["path"]}
        tasks = {"a": task(image=URL, output=True), "b": task(image=URL, needs=["a"], gate=gate)}
        assert set(states(bucket, tasks=tasks).values()) == {"success"}
        assert (made, cluster.ran()) == ([], ["a", "b"])

    @pytest.mark.parametrize("foreach", [None, {"items": None, "output_of": "a", "concurrency": None}])
    def test_of_an_older_version_of_the_library_fails_and_stays_unread(
        self,
        bucket: Bucket,
        cluster: FakeCluster,
        monkeypatch: pytest.MonkeyPatch,
        made: list[Any],
        tmp_path: Path,
        foreach: Any,
    ) -> None:
        # That is what it returned: whatever the pod had left.
        left = [hostile(tmp_path / "touched")[1]]
        execute = JobPodOperator.execute

        def older(operator: JobPodOperator, context: Any) -> object:
            return left if operator.task_id == "a" else execute(operator, context)

        monkeypatch.setattr(JobPodOperator, "execute", older)
        args = ["{{ item | tojson }}" if foreach else "{{ outputs.a | tojson }}"]
        last = task(image=URL, args=args, needs=["a"], foreach=foreach, retries=NO_RETRIES)
        found = states(bucket, tasks={"a": task(image=URL, output=True, retries=NO_RETRIES), "b": last})
        assert (found["a"], found["b"]) == ("success", ["failed"] if foreach else "failed")
        assert (made, cluster.created) == ([], [])

    def test_airflows_own_xcom_of_a_task_says_nothing(self, bucket: Bucket, cluster: FakeCluster) -> None:
        pushed: dict[str, Any] = {}
        operator: Any = bucket.dag(job(tasks={"a": task(image=URL, output=True)})).get_task("a")
        cluster.leave(a='{"__type": "x", "__var": 1}')
        given = context()
        given["ti"].xcom_push = lambda key, value: pushed.update({key: value})
        assert operator.execute(given) is True
        assert pushed[KEY] == '{"__type": "x", "__var": 1}'


PLACES = [
    {"params": {"limit": {"default": "VALUE"}}},
    {"params": {"limit": {"default": 1, "examples": ["VALUE"]}}},
    {"params": {"limit": {"default": 1, "VALUE_KEY": 2}}},
    {"params": {"limit": "VALUE"}},
    {"description": "VALUE"},
    {"owner": "VALUE"},
    {"source": "VALUE"},
    {"digest": "VALUE"},
    {"tags": ["VALUE"]},
    {"alerts": {"on_failure": [{"webhook": "VALUE"}]}},
    {"deadline": 60, "alerts": {"on_missed_deadline": [{"webhook": "VALUE"}]}},
    {"schedule": {"assets": ["VALUE"]}},
    {"timezone": "VALUE"},
]
TASK_PLACES = [
    {"args": ["VALUE"]},
    {"args": "VALUE"},
    {"command": ["VALUE"]},
    {"env": {"KEY": "VALUE"}},
    {"env": "VALUE"},
    {"image": "VALUE"},
    {"resources": {"requests": "VALUE", "limits": {}}},
    {"secrets": {"KEY": {"secret": "VALUE", "key": "x"}}},
    {"scratch": "VALUE"},
    {"outputs": ["VALUE"]},
    {"foreach": {"items": ["VALUE"], "output_of": None, "concurrency": None}},
    {"foreach": {"items": "VALUE", "output_of": None, "concurrency": None}},
    {"gate": {"output_of": "first", "value": None, "test": "equals", "bound": "VALUE"}},
    {"gate": {"output_of": "first", "value": "VALUE", "test": "equals", "bound": 1}},
    {"type": "wait-for-s3-key", "arguments": {"bucket_key": "VALUE"}},
    {"type": "wait-for-s3-key", "arguments": {"bucket_key": ["s3://a/b", "VALUE"]}},
    {"trigger_rule": "VALUE"},
    {"service_account": "VALUE"},
]


def _filled(place: Any, value: Any) -> Any:
    if isinstance(place, dict):
        return {str(_filled(key, "__classname__")): _filled(entry, value) for key, entry in place.items()}
    if isinstance(place, list):
        return [_filled(entry, value) for entry in place]
    return (
        value if place == "VALUE" else place.replace("VALUE_KEY", "__classname__") if isinstance(place, str) else place
    )


def test_a_release_makes_no_objects(bucket: Bucket, made: list[Any], tmp_path: Path) -> None:
    for place in [*PLACES, *({"task": place} for place in TASK_PLACES)]:
        entries = {
            f"job-{number}": _with_value_at(place, value) for number, value in enumerate(hostile(tmp_path / "touched"))
        }
        bag = bucket.parse(bucket.release(entries))
        assert (bag.import_errors, len(bag.dags)) == ({}, len(entries))
        for dag in bag.dags.values():
            # What the scheduler does with it.
            assert core_dag(serialized(dag)).dag_id == dag.dag_id
        assert (made, list(tmp_path.iterdir())) == ([], []), place


def _with_value_at(place: dict[str, Any], value: Any) -> dict[str, Any]:
    filled = _filled(place, value)
    changed = filled.pop("task", {})
    last = task(**{"image": URL, "needs": ["first"], **changed})
    return job(**{"tasks": {"first": task(image=URL, output=True), "last": last}, **filled})


def serialized(dag: Any) -> Any:
    """Return the DAG as it has been stored and read again, in Airflow 2; `core_dag` does it in Airflow 3."""
    if AIRFLOW_3:
        return dag
    from airflow.serialization.serialized_objects import SerializedDAG

    return SerializedDAG.from_dict(json.loads(json.dumps(SerializedDAG.to_dict(dag))))


class _Text(str):
    def __str__(self) -> str:
        raise AssertionError("asked")

    __repr__ = upper = __str__


class _Number(int):
    def __int__(self) -> int:
        raise AssertionError("asked")

    __index__ = __abs__ = __int__


class _List(list[Any]):
    pass


def test_plain_data_is_built_anew_of_pythons_own_types() -> None:
    found = plain({"a": _List([_Text("x"), _Number(1), (True, None, 1.5)])})
    assert found == {"a": ["x", 1, [True, None, 1.5]]}
    kinds = [type(found), type(found["a"]), *map(type, found["a"]), *map(type, found["a"][2])]
    assert kinds == [dict, list, str, int, list, bool, type(None), float]


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, {"a": {1}}, [b"x"], [[]] * 10_001, ["x" * 300_000], "\0", "\ud800", 2**63, 1e999, [print]],
)
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(PlainDataError):
        plain(value)


@pytest.mark.parametrize("text", [None, {"__type": "x", "__var": 1}, ["1"], b"1", 1, "", "x", "NaN", "[" * 100_000])
def test_what_is_no_text_of_ours_is_refused(text: Any) -> None:
    with pytest.raises(PlainDataError):
        decode(text)


def test_a_text_stands_for_what_it_was_made_of() -> None:
    value = {"a": [1, 2.5, "x\u00e9\U0001f600", None, True, {"__classname__": "x"}]}
    assert decode(encode(value)) == value


@pytest.mark.parametrize("moment", [None, 5, {"__type": "x"}, "x" * 100_000, "9999-99-99", "", ["2026-11-01"]])
def test_an_assets_event_with_no_moment_fails_with_what_it_has(moment: Any) -> None:
    from types import SimpleNamespace

    extra = {"data_interval_start": moment, "data_interval_end": "2026-11-02T00:00:00+00:00"}
    given = context(
        data_interval_start=None,
        data_interval_end=None,
        triggering_asset_events={"an asset": [SimpleNamespace(extra=extra)]},
    )
    with pytest.raises(IntervalError, match="an asset's event must give its data interval as ISO 8601 timestamps; got"):
        data_interval(given)
