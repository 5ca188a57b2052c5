"""What of a job the DAG carries."""

from datetime import timedelta

import pytest
from jobyard.compat import AIRFLOW_3, DAG
from markdown_it import MarkdownIt
from support import Bucket, core_dag, job, task


def intervals(dag: DAG, start: str, end: str) -> list[tuple[str, str]]:
    """Return the data intervals of a backfill, in UTC."""
    import pendulum

    runs = core_dag(dag).iter_dagrun_infos_between(pendulum.parse(start), pendulum.parse(end))
    return [tuple(at.in_timezone("UTC").isoformat() for at in run.data_interval) for run in runs]


def scheduled(dag: DAG) -> list[tuple[str, str]]:
    """Return the data intervals of every run the scheduler would make between the DAG's own dates, in UTC."""
    from airflow.timetables.base import TimeRestriction

    bounds = TimeRestriction(earliest=dag.start_date, latest=dag.end_date, catchup=True)
    found, interval = [], None
    while run := core_dag(dag).timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=bounds):
        interval = run.data_interval
        found.append(tuple(at.in_timezone("UTC").isoformat() for at in interval))
    return found


def test_what_the_job_says_of_itself(bucket: Bucket) -> None:
    dag = bucket.dag(job(tags=["nightly"], timeout=3600, max_active_runs=2, params={"limit": 5}))
    assert dag.description == "Scores yesterday's consultations."
    assert set(dag.tags) == {"team:risk", "owner:risk-ml@example.com", "nightly"}
    assert dag.dagrun_timeout == timedelta(hours=1)
    assert (dag.max_active_runs, dag.catchup) == (2, False)
    assert dag.params["limit"] == 5
    assert dag.owner == "risk-ml@example.com"


def test_a_new_job_runs_without_a_click(bucket: Bucket) -> None:
    # Airflow, MWAA's too, pauses a DAG that it sees for the first time, unless the DAG says otherwise.
    assert bucket.dag(job()).is_paused_upon_creation is False


def test_a_job_without_an_owner_is_its_teams(bucket: Bucket) -> None:
    assert bucket.dag(job(owner="")).owner == "risk"


def test_the_page_shows_the_source_as_it_is(bucket: Bucket) -> None:
    source = "args: ['{{ ds }}', '{% x %}']\ndescription: |\n  ```\n  a fence\n  see job.md"
    page = bucket.dag(job(source=source)).doc_md
    assert page is not None
    assert page.startswith("```text\nScores yesterday's consultations.\n```\n\nEach pod of this job holds a worker")
    assert page.endswith(f"\n\n````yaml\n{source}\n````")


MARKDOWN = [
    "![x](http://attacker.example.com/x.png)",
    "[click](javascript:alert(1))",
    "[Airflow](http://attacker.example.com)",
    "http://attacker.example.com www.attacker.example.com a@attacker.example.com",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "```\n![x](http://attacker.example.com)\n```",
    "````text\n```\n~~~\n![x](http://attacker.example.com)",
    "x\n\n# Digest of the job: `0`\n\n[a]: http://attacker.example.com\n[a]",
    "x\r\r![x](http://attacker.example.com)\u2028![y](http://attacker.example.com)",
    "x\n`" * 50 + "![x](http://attacker.example.com)",
]


@pytest.mark.parametrize("text", MARKDOWN)
def test_the_page_has_no_link_or_image_of_a_teams(bucket: Bucket, text: str) -> None:
    markdown = MarkdownIt("gfm-like", {"html": True})
    broken = job(description=text, source=text, tasks={"score": task(node_group=text)})
    for entry in (job(description=text, source=text, digest=f"`{text}"), job(owner=text, tags=[text[:90]]), broken):
        page = bucket.dag(entry).doc_md
        assert page is not None
        tokens = markdown.parse(page)
        assert {token.type for token in tokens} <= {"fence", "paragraph_open", "inline", "paragraph_close"}
        inside = {child.type for token in tokens for child in token.children or []}
        assert inside <= {"text", "code_inline", "strong_open", "strong_close"}


@pytest.mark.parametrize("tag", ["team:care", "owner:care-ml@example.com", "Team:care"])
def test_a_tag_puts_no_job_among_another_teams(bucket: Bucket, tag: str) -> None:
    dag = bucket.dag(job(tags=[tag]))
    assert dag.description == (
        f"Broken: a tag must not start with 'team:' or 'owner:', which the platform sets; got {tag!r}"
    )
    assert set(dag.tags) == {"team:risk", "broken"}


def test_a_backfill_gives_each_run_its_own_day(bucket: Bucket) -> None:
    dag = bucket.dag(job(schedule="@daily"))
    assert intervals(dag, "2026-11-03T00:00Z", "2026-11-05T00:00Z") == [
        ("2026-11-03T00:00:00+00:00", "2026-11-04T00:00:00+00:00"),
        ("2026-11-04T00:00:00+00:00", "2026-11-05T00:00:00+00:00"),
        ("2026-11-05T00:00:00+00:00", "2026-11-06T00:00:00+00:00"),
    ]


def test_the_schedule_and_the_dates_are_in_the_jobs_timezone(bucket: Bucket) -> None:
    dag = bucket.dag(job(timezone="Asia/Jakarta", end_date="2026-11-02"))
    assert dag.timezone.name == "Asia/Jakarta"
    # 02:00 in Jakarta is 19:00 UTC of the day before; the last day is included.
    assert scheduled(dag) == [
        ("2026-10-31T19:00:00+00:00", "2026-11-01T19:00:00+00:00"),
        ("2026-11-01T19:00:00+00:00", "2026-11-02T19:00:00+00:00"),
    ]


def test_clocks_going_back_do_not_move_the_job(bucket: Bucket) -> None:
    dag = bucket.dag(job(timezone="Europe/Berlin", start_date="2027-10-29"))
    assert intervals(dag, "2027-10-29T00:00Z", "2027-10-31T00:00Z") == [
        ("2027-10-29T00:00:00+00:00", "2027-10-30T00:00:00+00:00"),
        ("2027-10-30T00:00:00+00:00", "2027-10-31T01:00:00+00:00"),
    ]


def test_without_a_schedule_a_job_runs_by_hand_alone(bucket: Bucket) -> None:
    assert intervals(bucket.dag(job(schedule=None)), "2026-11-01T00:00Z", "2026-12-01T00:00Z") == []


def test_once_is_airflows_own_word(bucket: Bucket) -> None:
    assert type(bucket.dag(job(schedule="@once")).timetable).__name__ == "OnceTimetable"


def test_tasks_wait_for_what_they_need(bucket: Bucket) -> None:
    tasks = {"c": task(needs=["a", "b"]), "a": task(), "b": task(needs=["a"], trigger_rule="all_done")}
    dag = bucket.dag(job(tasks=tasks))
    assert {t.task_id: t.upstream_task_ids for t in dag.tasks} == {"a": set(), "b": {"a"}, "c": {"a", "b"}}
    assert {t.task_id: t.trigger_rule.value for t in dag.tasks} == {
        "a": "all_success",
        "b": "all_done",
        "c": "all_success",
    }


def retry_delays(dag: DAG, tries: int) -> list[float]:
    """Return the seconds Airflow would wait after each try."""
    import pendulum
    from airflow.models.taskinstance import TaskInstance

    scheduled = core_dag(dag).get_task("score")
    instance = TaskInstance(scheduled, run_id="run", **({"dag_version_id": None} if AIRFLOW_3 else {}))
    instance.end_date = pendulum.datetime(2026, 11, 1)
    delays = []
    for instance.try_number in range(1, tries + 1):
        delays.append((instance.next_retry_datetime() - instance.end_date).total_seconds())
    return delays


def test_the_time_to_build_a_job_grows_with_its_tasks_alone(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of a DAG is of all of its tasks, and Airflow computes it for each task that `set_upstream` joins."""
    hashed: list[str] = []

    def counted(dag: DAG) -> int:
        hashed.append(dag.dag_id)
        return 0

    monkeypatch.setattr(DAG, "__hash__", counted)
    names = [f"t{number}" for number in range(20)]
    tasks = {name: task(needs=names[max(0, place - 3) : place]) for place, name in enumerate(names)}
    waits = [{"job": "care.report", "timeout": 3600}]
    dag = bucket.dag(job(tasks={**tasks, "alone": task()}, wait_for=waits))
    assert dag.get_task("t19").upstream_task_ids == {"t16", "t17", "t18"}
    assert dag.get_task("job.finished").upstream_task_ids == {"alone", "t19"}
    assert dag.get_task("wait-for.care.report").downstream_task_ids == {"alone", "t0"}
    assert len(hashed) < len(names)


def test_retries_grow_to_their_limit(bucket: Bucket) -> None:
    retries = {"attempts": 5, "delay": 300, "backoff": "exponential", "max_delay": 1800}
    dag = bucket.dag(job(tasks={"score": task(retries=retries)}))
    delays = retry_delays(dag, 5)
    assert dag.get_task("score").retries == 5
    # Airflow spreads each delay by up to its own length again.
    assert 300 <= delays[0] <= 600 and 600 <= delays[1] <= 1200 and delays[4] == 1800


def test_retries_without_backoff_stay_the_same(bucket: Bucket) -> None:
    retries = {"attempts": 3, "delay": 60, "backoff": "none", "max_delay": None}
    assert retry_delays(bucket.dag(job(tasks={"score": task(retries=retries)})), 3) == [60, 60, 60]


def test_a_parameter_has_airflows_form(bucket: Bucket) -> None:
    limit = {"default": 5, "type": "integer", "minimum": 1, "title": "Limit", "description": "At most so many."}
    dag = bucket.dag(job(params={"limit": limit, "plain": 3}))
    shown = dag.params.get_param("limit")
    assert shown.schema == {"type": "integer", "minimum": 1, "title": "Limit"}
    assert (shown.value, shown.description) == (5, "At most so many.")
    assert dag.params.dump() == {"limit": 5, "plain": 3}
    with pytest.raises(Exception, match="'many' is not of type 'integer'"):
        dag.params.update({"limit": "many"})
        dag.params.validate()


def test_a_parameters_schema_fetches_nothing(bucket: Bucket) -> None:
    entry = job(params={"limit": {"default": 5, "schema": {"anyOf": [{"$ref": "http://127.0.0.1:9/schema.json"}]}}})
    dag = bucket.dag(entry)
    assert dag.description == "Broken: params.limit: must not have the unknown field 'schema'"


def test_tasks_of_a_group_are_shown_together_under_their_own_names(bucket: Bucket) -> None:
    tasks = {"a": task(group="model"), "b": task(group="model", needs=["a"]), "c": task(needs=["b"])}
    dag = bucket.dag(job(tasks=tasks))
    assert sorted(dag.task_ids) == ["a", "b", "c"]
    assert set(dag.task_group.get_task_group_dict()["model"].children) == {"a", "b"}


def test_a_pool_and_a_limit_of_tasks_at_once(bucket: Bucket) -> None:
    dag = bucket.dag(job(max_active_tasks=3, tasks={"a": task(pool="risk.gpu"), "b": task()}))
    assert dag.max_active_tasks == 3
    assert (dag.get_task("a").pool, dag.get_task("b").pool) == ("risk.gpu", "risk")
    assert bucket.dag(job()).max_active_tasks == 16
