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
    "cron-of-400-zeros": (
        job(schedule=",".join("0" * 400) + " 2 * * *"),
        "schedule: must have at most 100 characters; got 807",
    ),
    "cron-of-2000-characters": (
        job(schedule="0 2 * * *" + " " * 2000),
        "schedule: must have at most 100 characters; got 2,009",
    ),
    "cron-with-seconds": (job(schedule="* * * * * *"), "schedule: must be a cron expression of five fields"),
    "cron-at-random": (job(schedule="R 2 * * *"), "schedule: must be a cron expression of five fields"),
    "cron-that-never-comes": (job(schedule="0 0 31 2 *"), "never comes: no year has such a day"),
    "cron-of-an-hour-25": (job(schedule="0 25 * * *"), "malformed entry: "),
    "preset-that-is-unknown": (job(schedule="@reboot"), "schedule: must be one of the presets @hourly"),
    "continuous-with-three-runs": (
        job(schedule="@continuous", max_active_runs=3),
        "max_active_runs must be 1 with the schedule @continuous; got 3",
    ),
    "nul-in-the-description": (job(description="a\0b"), r"for Airflow's database; got 'a\x00b'"),
    "surrogate-in-the-description": (job(description="\ud800"), "description: must not have a NUL or half a surrogate"),
    "surrogate-in-a-name": (score(env={"\udfff": "x"}), r"tasks.score.env.'\udfff'"),
    "nul-in-the-source": (job(source="a\0"), "source: "),
    "object-for-a-text": (job(description={"a": 1}), "description: must be a string, not an object"),
    "text-for-an-object": (score(env="x"), "tasks.score.env: must be an object, not a string"),
    "number-for-a-text": (score(args=[1]), "tasks.score.args.0: must be a string, not a whole number"),
    "text-for-a-flag-of-a-task": (
        score(read_only_root_filesystem="yes"),
        "tasks.score.read_only_root_filesystem: must be true or false, not a string",
    ),
    "text-for-a-flag": (job(catchup="no"), "catchup: must be true or false, not a string"),
    "unknown-key": (job(access_control={}), "job: must not have the unknown field 'access_control'"),
    "unknown-key-of-a-task": (
        score(executor_config={}),
        "tasks.score: must not have the unknown field 'executor_config'",
    ),
    "unknown-keys-name-of-a-megabyte": (job(**{"k" * 1_000_000: 1}), "(1,000,000 characters)"),
    "runs-3e9": (job(max_active_runs=3_000_000_000), "max_active_runs: must be at most 100; got 3000000000"),
    "runs-2-to-63": (job(max_active_runs=2**63), "max_active_runs: must be at most 100; got 9223372036854775808"),
    "runs-of-4000-digits": (
        job(max_active_runs=10**4000),
        "max_active_runs: must be at most 100; got a number of many digits",
    ),
    "runs-true": (job(max_active_runs=True), "max_active_runs: must be a whole number, not true or false"),
    "runs-none": (job(max_active_runs=0), "max_active_runs: must be at least 1; got 0"),
    "tasks-at-once-2-to-63": (job(max_active_tasks=2**63), "max_active_tasks: "),
    "deadline-3e11": (
        job(schedule={"after": ["risk.healthy"]}, deadline=300_000_000_000),
        "deadline: must be at most 31,536,000; got 300000000000",
    ),
    "timeout-8e10": (job(timeout=80_000_000_000), "timeout: must be at most 31,536,000; got 80000000000"),
    "timeout-of-a-task-8e10": (score(timeout=80_000_000_000), "tasks.score.timeout: must be at most 31,536,000"),
    "startup-timeout-8e10": (score(startup_timeout=80_000_000_000), "tasks.score.startup_timeout: must be at most"),
    "queue-timeout-8e10": (score(queue_timeout=80_000_000_000), "tasks.score.queue_timeout: must be at most"),
    "queue-timeout-of-none": (score(queue_timeout=0), "tasks.score.queue_timeout: must be at least 1; got 0"),
    "attempts-3e9": (
        score(retries={**RETRIES, "attempts": 3_000_000_000}),
        "score.retries.attempts: must be at most 20; got 3000000000",
    ),
    "attempts-10-to-20": (
        score(retries={**RETRIES, "attempts": 10**20}),
        "attempts: must be at most 20; got 100000000000000000000",
    ),
    "attempts-half": (score(retries={**RETRIES, "attempts": 0.5}), "attempts: must be a whole number, not a number"),
    "retry-beyond-year-9999": (
        score(retries={**RETRIES, "delay": 252_000_000_000}),
        "retries.delay: must be at most 31,536,000",
    ),
    "retry-maximum-beyond-year-9999": (score(retries={**RETRIES, "max_delay": 252_000_000_000}), "retries.max_delay: "),
    "concurrency-x": (
        each([1], concurrency="x"),
        "tasks.score.foreach.concurrency: must be a whole number, not a string",
    ),
    "start-0001": (job(start_date="0001-01-01"), "start_date: must be in the years 1970 to 2199; got 0001-01-01"),
    "start-9999": (job(start_date="9999-12-31"), "start_date: must be in the years 1970 to 2199; got 9999-12-31"),
    "end-9999": (job(end_date="9999-12-31"), "end_date: must be in the years 1970 to 2199; got 9999-12-31"),
    "end-before-start": (
        job(end_date="2026-10-31"),
        "end_date must not be before start_date, 2026-11-01; got 2026-10-31",
    ),
    "day-that-is-none": (job(start_date="2026-02-30"), "start_date: must be an existing date; got '2026-02-30'"),
    "timezone-that-is-a-path": (job(timezone="../../../etc/passwd"), "timezone: "),
    "nan": (each([float("nan")]), "tasks.score.foreach.items.0: must be finite; got nan"),
    "infinity": (
        job(params={"x": {"default": 1, "maximum": float("inf")}}),
        "params.x.maximum: must be finite; got inf",
    ),
    "number-of-4000-digits": (job(params={"x": 10**4000}), "params.x: must be between -9,007,199,254,740,992 and"),
    "tag-of-101": (job(tags=["t" * 101]), "tags.0: must have at most 100 characters; got 101"),
    "tags-51": (job(tags=[f"t{number}" for number in range(51)]), "tags: must have at most 50 entries; got 51"),
    "owner-of-95": (job(owner="o" * 95), "owner: must have at most 94 characters; got 95"),
    "description-of-a-megabyte": (job(description="d" * 1_000_000), "description: must have at most 5,000 characters"),
    "asset-of-501": (
        score(outputs=["s3://b/" + "k" * 494]),
        "tasks.score.outputs.0: must have at most 500 characters; got 501",
    ),
    "job-name-of-101": (
        job(schedule={"after": [f"care.{'x' * 96}"]}),
        "schedule.after.0: must have at most 100 characters; got 101",
    ),
    "wait-for-name-of-300": (
        job(wait_for=[{"job": f"care.{'x' * 295}", "timeout": 1}]),
        "wait_for.0.job: must have at most 100 characters; got 300",
    ),
    "task-name-of-51": (job(tasks={"t" * 51: task()}), "must have at most 50 characters; got 51"),
    "image-with-a-template": (score(image="{{ var.value.x }}"), "tasks.score.image: "),
    "image-with-a-quote": (score(image="a' + x + '"), "tasks.score.image: "),
    "resource-that-is-unknown": (
        score(resources={"requests": {"hugepages-2Mi": "1Gi"}, "limits": {}}),
        "tasks.score.resources.requests.hugepages-2Mi: must be one of cpu, memory, ephemeral-storage, nvidia.com/gpu",
    ),
    "quantity-in-words": (
        score(scratch="a lot"),
        "tasks.score.scratch: must be a quantity, such as 512Mi; got 'a lot'",
    ),
    "pattern": (
        job(params={"x": {"default": "a", "type": "string", "pattern": "^(a+)+$"}}),
        "params.x: must not have the unknown field 'pattern'",
    ),
    "reference": (
        job(params={"x": {"default": 1, "$ref": "file:///etc/passwd"}}),
        "params.x: must not have the unknown field '$ref'",
    ),
    "format": (
        job(params={"x": {"default": "a", "format": "idn-email"}}),
        "params.x: must not have the unknown field 'format'",
    ),
    "schema-in-a-type": (
        job(params={"x": {"default": 1, "type": {"not": {}}}}),
        "params.x.type: must be a string or a list",
    ),
    "object-as-a-default": (job(params={"x": {"default": {"__var": 1}}}), "params.x.default: must be "),
    "key-of-airflows-serialisation": (
        each([{"a": {"__type": "airflow.sdk.io.path.ObjectStoragePath"}}]),
        "tasks.score.foreach.items.0.a.__type: must be a name without a leading '__', which is reserved for Airflow",
    ),
    "nested-eleven-deep": (
        score(type="wait-for-s3-key", arguments={"x": nested(11)}),
        "must not be nested more than 10 levels deep",
    ),
    "needs-twice-301": (score(needs=["score"] * 301), "tasks.score.needs: must have at most 300 entries; got 301"),
    "chain-of-1000": (job(tasks=chain(1_000)), "tasks: must have at most 300 entries; got 1,000"),
    "1500-after-all-before": (
        job(tasks=all_after_all(300)),
        "the job must have at most 5,000 needs of all tasks; got 44,850",
    ),
    "10000-tasks": (
        job(tasks={f"t{number}": None for number in range(10_000)}),
        "tasks: must have at most 300 entries; got 10,000",
    ),
    "million-items": (
        each([0] * 1_000_000),
        "tasks.score.foreach.items: must have at most 1,000 entries; got 1,000,000",
    ),
    "300-tasks-of-1000-items": (
        job(tasks={f"t{number}": each([0] * 1_000)["tasks"]["score"] for number in range(300)}),
        "the job must have at most 5,000 task instances in one run; got 300,000",
    ),
    "100-runs-of-5000": (
        job(tasks={f"t{number}": each([0] * 1_000)["tasks"]["score"] for number in range(5)}, max_active_runs=100),
        "the job must have at most 20,000 task instances in max_active_runs runs; got 500,000",
    ),
    "30-tasks-of-50-assets": (
        job(tasks={f"t{number}": task(inputs=[f"s3://b/{key}" for key in range(50)]) for number in range(30)}),
        "the job must have at most 200 assets; got 1,500",
    ),
}
