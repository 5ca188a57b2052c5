"""Jobs that a team's pipeline could put into the bucket by hand, by name, each with what is to be said of it."""

from typing import Any

from support import job, task

RETRIES = task()["retries"]


def score(**changes: Any) -> dict[str, Any]:
    """Return a job whose one task is so."""
    return job(tasks={"score": task(**changes)})


def each(items: object, concurrency: object = None, output_of: object = None) -> dict[str, Any]:
    """Return a job whose one task is one for each item."""
    return score(foreach={"items": items, "concurrency": concurrency, "output_of": output_of})


def nested(depth: int) -> Any:
    """Return lists in lists."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def chain(length: int) -> dict[str, Any]:
    """Return tasks each after the one before."""
    return {f"t{number}": task(needs=[f"t{number - 1}"] if number else []) for number in range(length)}


def all_after_all(length: int) -> dict[str, Any]:
    """Return tasks each after all before."""
    names = [f"t{number}" for number in range(length)]
    return {name: task(needs=names[:place]) for place, name in enumerate(names)}


ATTACKS: dict[str, tuple[Any, str]] = {
    "cron-of-400-zeros": (job(schedule=",".join("0" * 400) + " 2 * * *"), "schedule: has 807 characters"),
    "cron-of-2000-characters": (job(schedule="0 2 * * *" + " " * 2000), "schedule: has 2,009 characters"),
    "cron-with-seconds": (job(schedule="* * * * * *"), "is not a cron expression: five fields"),
    "cron-at-random": (job(schedule="R 2 * * *"), "is not a cron expression: five fields"),
    "cron-that-never-comes": (job(schedule="0 0 31 2 *"), "never comes: no year has such a day"),
    "cron-of-an-hour-25": (job(schedule="0 25 * * *"), "malformed entry: "),
    "preset-that-is-unknown": (job(schedule="@reboot"), "schedule: '@reboot' is not one of the presets"),
    "continuous-with-three-runs": (
        job(schedule="@continuous", max_active_runs=3),
        "max_active_runs is 3; with the schedule @continuous it has to be 1",
    ),
    "nul-in-the-description": (job(description="a\0b"), r"description: 'a\x00b' has a NUL"),
    "surrogate-in-the-description": (job(description="\ud800"), r"description: '\ud800' has a NUL or half a character"),
    "surrogate-in-a-name": (score(env={"\udfff": "x"}), r"tasks.score.env.'\udfff'"),
    "nul-in-the-source": (job(source="a\0"), "source: "),
    "object-for-a-text": (job(description={"a": 1}), "description: must be text, not an object"),
    "text-for-an-object": (score(env="x"), "tasks.score.env: must be an object, not text"),
    "number-for-a-text": (score(args=[1]), "tasks.score.args.0: must be text, not a whole number"),
    "text-for-a-flag-of-a-task": (
        score(read_only_root_filesystem="yes"),
        "tasks.score.read_only_root_filesystem: must be true or false, not text",
    ),
    "text-for-a-flag": (job(catchup="no"), "catchup: must be true or false, not text"),
    "unknown-key": (job(access_control={}), "job: has the unknown field 'access_control'"),
    "unknown-key-of-a-task": (score(executor_config={}), "tasks.score: has the unknown field 'executor_config'"),
    "unknown-keys-name-of-a-megabyte": (job(**{"k" * 1_000_000: 1}), "(1,000,000 characters)"),
    "runs-3e9": (job(max_active_runs=3_000_000_000), "max_active_runs: 3000000000 is more than 100"),
    "runs-2-to-63": (job(max_active_runs=2**63), "max_active_runs: 9223372036854775808 is more than 100"),
    "runs-of-4000-digits": (job(max_active_runs=10**4000), "max_active_runs: a number of many digits is more than 100"),
    "runs-true": (job(max_active_runs=True), "max_active_runs: must be a whole number, not true or false"),
    "runs-none": (job(max_active_runs=0), "max_active_runs: 0 is less than 1"),
    "tasks-at-once-2-to-63": (job(max_active_tasks=2**63), "max_active_tasks: "),
    "deadline-3e11": (
        job(schedule={"after": ["risk.healthy"]}, deadline=300_000_000_000),
        "deadline: 300000000000 is more than 31,536,000",
    ),
    "timeout-8e10": (job(timeout=80_000_000_000), "timeout: 80000000000 is more than"),
    "timeout-of-a-task-8e10": (score(timeout=80_000_000_000), "tasks.score.timeout: 80000000000 is more than"),
    "startup-timeout-8e10": (score(startup_timeout=80_000_000_000), "tasks.score.startup_timeout: 80000000000 is"),
    "attempts-3e9": (score(retries={**RETRIES, "attempts": 3_000_000_000}), "score.retries.attempts: 3000000000 is"),
    "attempts-10-to-20": (score(retries={**RETRIES, "attempts": 10**20}), "retries.attempts: 100000000000000000000 is"),
    "attempts-half": (score(retries={**RETRIES, "attempts": 0.5}), "attempts: must be a whole number, not a number"),
    "retry-beyond-year-9999": (score(retries={**RETRIES, "delay": 252_000_000_000}), "retries.delay: 252000000000 is"),
    "retry-maximum-beyond-year-9999": (score(retries={**RETRIES, "max_delay": 252_000_000_000}), "retries.max_delay: "),
    "concurrency-x": (each([1], concurrency="x"), "tasks.score.foreach.concurrency: must be a whole number, not text"),
    "start-0001": (job(start_date="0001-01-01"), "start_date: 0001-01-01 is not in the years 1970 to 2199"),
    "start-9999": (job(start_date="9999-12-31"), "start_date: 9999-12-31 is not in the years 1970 to 2199"),
    "end-9999": (job(end_date="9999-12-31"), "end_date: 9999-12-31 is not in the years 1970 to 2199"),
    "end-before-start": (job(end_date="2026-10-31"), "end_date 2026-10-31 is before start_date 2026-11-01"),
    "day-that-is-none": (job(start_date="2026-02-30"), "start_date: '2026-02-30' is not a day of the calendar"),
    "timezone-that-is-a-path": (job(timezone="../../../etc/passwd"), "timezone: "),
    "nan": (each([float("nan")]), "tasks.score.foreach.items.0: nan is not a number"),
    "infinity": (job(params={"x": {"default": 1, "maximum": float("inf")}}), "params.x.maximum: inf is not a number"),
    "number-of-4000-digits": (job(params={"x": 10**4000}), "params.x: a number of many digits is not between"),
    "tag-of-101": (job(tags=["t" * 101]), "tags.0: has 101 characters, more than 100"),
    "tags-51": (job(tags=[f"t{number}" for number in range(51)]), "tags: has 51 entries, more than 50"),
    "owner-of-95": (job(owner="o" * 95), "owner: has 95 characters, more than 94"),
    "description-of-a-megabyte": (job(description="d" * 1_000_000), "description: has 1,000,000 characters"),
    "asset-of-501": (score(outputs=["s3://b/" + "k" * 494]), "tasks.score.outputs.0: has 501 characters"),
    "job-name-of-101": (job(schedule={"after": [f"care.{'x' * 96}"]}), "schedule.after.0: has 101 characters"),
    "wait-for-name-of-300": (job(wait_for=[{"job": f"care.{'x' * 295}", "timeout": 1}]), "wait_for.0.job: has 300 "),
    "task-name-of-51": (job(tasks={"t" * 51: task()}), "has 51 characters, more than 50"),
    "image-with-a-template": (score(image="{{ var.value.x }}"), "tasks.score.image: "),
    "image-with-a-quote": (score(image="a' + x + '"), "tasks.score.image: "),
    "resource-that-is-unknown": (
        score(resources={"requests": {"hugepages-2Mi": "1Gi"}, "limits": {}}),
        "tasks.score.resources.requests.hugepages-2Mi: 'hugepages-2Mi' is not one of",
    ),
    "quantity-in-words": (score(scratch="a lot"), "tasks.score.scratch: 'a lot' is not a quantity"),
    "pattern": (
        job(params={"x": {"default": "a", "type": "string", "pattern": "^(a+)+$"}}),
        "params.x: has the unknown field 'pattern'",
    ),
    "reference": (
        job(params={"x": {"default": 1, "$ref": "file:///etc/passwd"}}),
        "params.x: has the unknown field '$ref'",
    ),
    "format": (job(params={"x": {"default": "a", "format": "idn-email"}}), "params.x: has the unknown field 'format'"),
    "schema-in-a-type": (
        job(params={"x": {"default": 1, "type": {"not": {}}}}),
        "params.x.type: must be text or a list",
    ),
    "object-as-a-default": (job(params={"x": {"default": {"__var": 1}}}), "params.x.default: must be "),
    "key-of-airflows-serialisation": (
        each([{"a": {"__type": "airflow.sdk.io.path.ObjectStoragePath"}}]),
        "tasks.score.foreach.items.0.a.__type: '__type' is not a name: those that begin with '__' are Airflow's own",
    ),
    "nested-eleven-deep": (score(type="wait-for-s3-key", arguments={"x": nested(11)}), "is nested more than 10 deep"),
    "needs-twice-301": (score(needs=["score"] * 301), "tasks.score.needs: has 301 entries, more than 300"),
    "chain-of-1000": (job(tasks=chain(1_000)), "tasks: has 1,000 entries, more than 300"),
    "1500-after-all-before": (job(tasks=all_after_all(300)), "job has 44,850 needs of all tasks, more than 5,000"),
    "10000-tasks": (job(tasks={f"t{number}": None for number in range(10_000)}), "tasks: has 10,000 entries"),
    "million-items": (each([0] * 1_000_000), "tasks.score.foreach.items: has 1,000,000 entries, more than 1,000"),
    "300-tasks-of-1000-items": (
        job(tasks={f"t{number}": each([0] * 1_000)["tasks"]["score"] for number in range(300)}),
        "the job has 300,000 task instances in one run, more than 5,000",
    ),
    "100-runs-of-5000": (
        job(tasks={f"t{number}": each([0] * 1_000)["tasks"]["score"] for number in range(5)}, max_active_runs=100),
        "the job has 500,000 task instances in max_active_runs runs, more than 20,000",
    ),
    "30-tasks-of-50-assets": (
        job(tasks={f"t{number}": task(inputs=[f"s3://b/{key}" for key in range(50)]) for number in range(30)}),
        "the job has 1,500 assets, more than 200",
    ),
}
