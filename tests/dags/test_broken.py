"""One bad job is seen, with its reason, and takes no other with it."""

from typing import Any

import pytest
from jobyard.compat import AirflowFailException
from support import PLATFORM, Bucket, job, task


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the entry without that key."""
    return {name: value for name, value in entry.items() if name != key}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (
            job(tasks={"score": task(node_group="gravitom")}),
            "unknown node group 'gravitom' (did you mean 'graviton'? available: default, graviton)",
        ),
        (
            job(tasks={"score": task(needs=["scor"])}),
            "unknown task in needs of 'score': 'scor' (did you mean 'score'? available: score)",
        ),
        (job(tasks={"a": task(needs=["b"]), "b": task(needs=["a"])}), "CycleError"),
        (job(tasks={}), "tasks: must not be empty"),
        (
            job(tasks={"Score": task()}),
            "tasks.Score: must be a name of lower-case letters, digits and '-'; got 'Score'",
        ),
        (job(schedule="0 25 * * *"), "malformed entry: "),
        (job(timezone="Asia/Jakata"), "malformed entry: "),
        (job(start_date="tomorrow"), "start_date: must be a date, such as 2026-11-01; got 'tomorrow'"),
        (
            job(tasks={"score": task(trigger_rule="sometimes")}),
            "tasks.score.trigger_rule: must be one of all_",
        ),
        (job(tags=["t" * 200]), "tags.0: must have at most 100 characters; got 200"),
        (without(job(), "owner"), "job: must have owner"),
        (job(tasks={"score": without(task(), "image")}), "tasks.score: must have image"),
        (job(tasks=["score"]), "tasks: must be an object, not a list"),
        (job(schedule={"after": "risk.a"}), "schedule.after: must be a list, not a string"),
        (job(schedule={"after": ["a"]}), "'after' must name a job as <team>.<job>; got 'a'"),
        (job(schedule={"after": []}), "the schedule must name at least one job in 'after' or asset in 'assets'"),
        (job(schedule={}), "the schedule must name at least one job in 'after' or asset in 'assets'"),
        (job(schedule=5), "schedule: must be a string or null or an object, not a whole number"),
        (job(wait_for=[{"job": "risk.a"}]), "wait_for.0: must have timeout"),
        (job(wait_for=["risk.a"]), "wait_for.0: must be an object, not a string"),
        (job(alerts=["slack"]), "alerts: must be an object, not a list"),
        (job(alerts={"on_failure": ["slack"]}), "alerts.on_failure.0: must be an object, not a string"),
        (
            job(deadline=-1, alerts={"on_missed_deadline": [{"slack": "a"}]}),
            "deadline: must be at least 1; got -1",
        ),
        (job(max_active_tasks="many"), "max_active_tasks: must be a whole number, not a string"),
        (job(params={"limit": {"default": "x", "type": "integer"}}), "malformed entry: "),
        (job(params={"limit": {"type": ["no type"], "default": 1}}), "params.limit.type.0: must be one of string"),
        (job(params=[]), "params: must be an object, not a list"),
        (job(tasks={"score": task(foreach={"items": [1]})}), "tasks.score.foreach: must have concurrency, output_of"),
        (
            job(tasks={"score": task(foreach={"items": 5, "output_of": None, "concurrency": None})}),
            "tasks.score.foreach.items: must be a list, not a whole number",
        ),
        (
            job(tasks={"score": task(foreach={"items": None, "output_of": None, "concurrency": None})}),
            "a foreach must have 'items' or 'output_of'",
        ),
        (job(tasks={"score": task(gate={"output_of": "a"})}), "tasks.score.gate: must have bound, test, value"),
        (
            job(tasks={"score": task(gate={"output_of": "a", "value": None, "test": "above", "bound": 1})}),
            "unknown task in gate: 'a' (none available)",
        ),
        (job(tasks={"score": task(group="A group")}), "tasks.score.group: must be a name of lower-case letters"),
        (job(tasks={"score": task(group="score")}), "a group must not have the name of a task; got 'score'"),
        (job(tasks={"score": task(inputs="s3")}), "tasks.score.inputs: must be a list, not a string"),
        (job(tasks={"score": task(inputs=["s3"])}), "an asset must be s3://bucket/key or x-<name>://…; got 's3'"),
        (
            job(tasks={"score": task(type="wait-for-s3-key", arguments=["x"])}),
            "score.arguments: must be an object, not a list",
        ),
        (job(tasks={"score": task(type="wait-for-s3-key", arguments={"x": 1})}), "unknown argument"),
        (job(tasks={"score": task(type="wait-for-s3-key", arguments={})}), "malformed entry: "),
        (job(tasks={"score": task(type=["x"])}), "tasks.score.type: must be a string, not a list"),
        (job(tasks={"score": task(type="x", arguments={})}), "unknown task type 'x'"),
        (job(tasks={"score": task(pool=5)}), "tasks.score.pool: must be a string, not a whole number"),
        (
            job(tasks={"score": task(pool="care.gpu")}),
            "unknown pool of team 'risk': 'care.gpu' (did you mean 'risk.gpu'? available: risk.gpu)",
        ),
        ("a string", "job: must be an object, not a string"),
        (None, "job: must be an object, not null"),
    ],
)
def test_a_bad_job_says_why_and_hides_no_other(bucket: Bucket, entry: object, reason: str) -> None:
    bucket.release({"bad": entry, "score": job()})
    bag = bucket.parse()
    assert bag.import_errors == {}
    assert sorted(bag.dags) == ["risk.bad", "risk.score"]
    dag = bag.dags["risk.bad"]
    assert reason in dag.doc_md and reason in dag.description
    assert set(dag.tags) == {"team:risk", "broken"}
    assert dag.is_paused_upon_creation is True
    [only] = dag.tasks
    with pytest.raises(AirflowFailException) as raised:
        type(only).execute.__wrapped__(only, {})
    assert reason in str(raised.value)


def test_a_job_whose_name_is_no_dag_id_is_seen_too(bucket: Bucket) -> None:
    bucket.release({"a job": job(), "score": job()})
    bag = bucket.parse()
    assert sorted(bag.dags) == ["risk.a_job", "risk.score"]
    assert "job name 'a job' is not lower-case letters" in bag.dags["risk.a_job"].doc_md


def test_a_job_that_broke_keeps_its_schedule_and_so_fails_where_it_is_looked_for(bucket: Bucket) -> None:
    entry = job(schedule="0 2 * * *", tasks={"score": task(node_group="gone")})
    bucket.release({"bad": entry})
    dag = bucket.parse().dags["risk.bad"]
    assert dag.timetable == bucket.dag(job(schedule="0 2 * * *")).timetable
    assert dag.doc_md.endswith(f"```yaml\n{entry['source'].rstrip()}\n```")


def test_a_job_whose_schedule_is_what_is_bad_has_none(bucket: Bucket) -> None:
    bucket.release({"bad": job(schedule="now and then")})
    assert type(bucket.parse().dags["risk.bad"].timetable).__name__ == "NullTimetable"


def test_where_airflow_knows_roles_the_teams_sees_its_jobs_the_broken_ones_too(bucket: Bucket) -> None:
    teams = {**PLATFORM["teams"], "risk": {**PLATFORM["teams"]["risk"], "role": "risk"}}
    bucket.write("jobyard/platform.json", {**PLATFORM, "teams": teams})
    entries = {
        "healthy": job(),
        "unbuilt": job(tasks={"score": task(node_group="gone")}),
        "unfit": job(max_active_runs=2**63),
    }
    dags = bucket.parse(bucket.release(entries)).dags
    seen_by = {dag_id: set(dag.access_control or {}) for dag_id, dag in dags.items()}
    assert seen_by == {f"risk.{name}": {"risk"} for name in entries}
