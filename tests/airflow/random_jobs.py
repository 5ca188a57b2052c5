"""Jobs at random: most of what a job.yaml may say, and now and then something that it may not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ("split", "train", "ensemble", "drift", "report-2", "x")
# One draw in so many takes an odd value instead of a good one.
ODD = 60
DURATIONS = ("90s", "5m", "2h", "1d", "1h30m")
TEXTS = (
    "--date",
    "{{ ds }}",
    "{{ day }} {{ data_interval_end }}",
    "{{ params.threshold }}",
    "{{ var.value.jobyard_data_bucket }}",
    "{{ macros.ds_add(ds, 3) }}",
    "{{ ti.try_number }}",
    "config.json",
    "select.sql",
    "ünï",
    "",
)
ODD_TEXTS = ("{{ item }}", "{{ outputs.train }}", "{{ dss }}", "{{", "{% raw %}", "{{ conn.x }}", "{{ 1 | nothing }}")


def good_or_odd(good: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly the one, now and then the other."""
    return st.integers(0, ODD - 1).flatmap(lambda chance: odd if chance == ODD - 1 else good)


duration = good_or_odd(st.sampled_from(DURATIONS), st.sampled_from(["0s", "1w", "", "99999999d", "5"]))
text = good_or_odd(st.sampled_from(TEXTS), st.sampled_from(ODD_TEXTS))
scalar = st.one_of(st.text(max_size=5), st.integers(-9, 9), st.booleans(), st.floats(-1, 1, allow_nan=False))
asset = good_or_odd(
    st.sampled_from(["s3://features/day", "s3://b", "x-kafka://claims", "s3://b/k=1/a.b"]),
    st.sampled_from(["s3://", "x-jobyard://care/ingest", "http://x", "s3://b/{{ ds }}", "x-://y", "s3://b//"]),
)
other_job = good_or_odd(
    st.sampled_from(["risk.least", "care.ingest"]), st.sampled_from(["risk.score", "care.by-hand", "x"])
)
schedule = st.one_of(
    st.none(),
    good_or_odd(
        st.sampled_from(["0 2 * * *", "*/5 * * * 1-5", "0 0 29 2 *", "30 6 1,15 * mon", "0 0 L * *", "0 12 * * 5#2"]),
        st.sampled_from(["0 2 * *", "0 0 31 2 *", "61 * * * *", "* * * * * *", "@dayly", "", "0 0 ? * *", "0 0 * * 8"]),
    ),
    st.sampled_from(["@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@once", "@continuous"]),
    st.fixed_dictionaries({"after": st.lists(other_job, min_size=1, max_size=2, unique=True)}),
    st.fixed_dictionaries({"assets": st.lists(asset, min_size=1, max_size=3, unique=True)}),
)
retries = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.integers(0, 20),
        "delay": duration,
        "backoff": st.sampled_from(["none", "exponential"]),
        "max_delay": duration,
    },
)
on_oom = good_or_odd(
    st.sampled_from([{"memory": "x2", "at_most": "5Gi"}, {"memory": "+1Gi", "at_most": "6000M"}]),
    st.sampled_from([{"memory": "x9", "at_most": "5Gi"}, {"memory": "+1Mi", "at_most": "5Gi"}, {"memory": "x2"}]),
)
resources = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["500m", 1, 0.5, "0.1"]),
        # The good limit is at least each of them, and at most twice.
        "memory": st.sampled_from(["768Mi", "1Gi", "1.5Gi", "1000M"]),
        "cpu_limit": good_or_odd(st.sampled_from([2, "4"]), st.just("1m")),
        "memory_limit": good_or_odd(st.just("1536Mi"), st.just("1Mi")),
        "on_oom": on_oom,
    },
)
targets = st.lists(
    st.sampled_from(
        [
            {"slack": "#ml-alerts"},
            {"email": "risk-ml@example.com"},
            {"sns": "arn:aws:sns:eu-west-1:123456789012:ml"},
            {"pagerduty": "critical"},
            {"webhook": "/x"},
        ]
    ),
    min_size=1,
    max_size=2,
)
param = st.one_of(
    scalar,
    st.none(),
    st.fixed_dictionaries({"default": scalar}, optional={"title": st.just("T"), "description": st.just("D")}),
    st.fixed_dictionaries(
        {"default": st.integers(0, 9)}, optional={"minimum": st.integers(-3, 2), "maximum": st.just(9)}
    ),
    st.lists(scalar, min_size=1, max_size=3).map(lambda choices: {"default": choices[0], "enum": choices}),
)
TRIGGER_RULES = ("all_success", "all_done", "one_failed", "none_failed", "none_failed_min_one_success", "always")


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """A whole job.yaml, as data."""
    optional = {
        "description": st.text(max_size=20),
        "owner": st.just("risk-ml@example.com"),
        "timezone": good_or_odd(st.sampled_from(["UTC", "Asia/Jakarta", "America/New_York"]), st.just("Asia/Jakata")),
        "start_date": good_or_odd(st.sampled_from(["2026-11-01", "2024-02-29"]), st.sampled_from(["2025-02-29", "1"])),
        "end_date": st.just("2027-11-01"),
        "catchup": st.booleans(),
        "max_active_runs": st.integers(1, 100),
        "max_active_tasks": st.integers(1, 50),
        "timeout": duration,
        "tags": st.lists(st.text(min_size=1, max_size=100), max_size=2, unique=True),
        "wait_for": st.lists(other_job, min_size=1, max_size=2, unique=True),
        "alerts": st.fixed_dictionaries(
            {}, optional={name: targets for name in ("on_failure", "on_retry", "on_success")}
        ).filter(bool),
        "defaults": st.fixed_dictionaries(
            {},
            optional={
                "retries": retries,
                "timeout": duration,
                "queue_timeout": duration,
                "resources": resources,
                "pool": st.just("warehouse"),
            },
        ),
    }
    job: dict[str, Any] = draw(st.fixed_dictionaries({"schedule": schedule}, optional=optional))
    if draw(st.booleans()) and isinstance(job["schedule"], str):
        job["deadline"] = "4h"
        job.setdefault("alerts", {})["on_missed_deadline"] = [{"webhook": "/late"}]
    if "queue_timeout" in job.get("defaults", {}):
        job.setdefault("alerts", {})["on_queue_timeout"] = [{"webhook": "/waited"}]
    params = draw(st.dictionaries(st.sampled_from(["a", "b_c", "D"]), param, max_size=2))
    return {
        "apiVersion": "jobyard/v1",
        **job,
        "params": {"threshold": 0.5, **params},
        "tasks": draw(tasks()),
    }


@st.composite
def tasks(draw: st.DrawFn) -> dict[str, Any]:
    """Tasks that need some of those before them."""
    made: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True)):
        made[name] = draw(task(made))
    return made


@st.composite
def task(draw: st.DrawFn, before: dict[str, Any]) -> dict[str, Any]:
    """One task; `before` are those it can need."""
    needs = draw(st.lists(st.sampled_from(sorted(before)), max_size=3, unique=True)) if before else []
    optional = {
        "retries": retries,
        "timeout": duration,
        "trigger_rule": st.sampled_from(TRIGGER_RULES),
        "group": good_or_odd(st.sampled_from(["training", "checks"]), st.just("train")),
        "pool": good_or_odd(st.just("warehouse"), st.just("other")),
        "inputs": st.lists(asset, min_size=1, max_size=2, unique=True),
        "outputs": st.lists(asset, min_size=1, max_size=2, unique=True),
    }
    common = {"needs": st.just(needs)}
    if draw(st.integers(0, 5)) == 0:
        return draw(st.fixed_dictionaries({**common, **draw(typed())}, optional=optional))
    pod = {
        "command": st.lists(text, max_size=2),
        "args": st.lists(text, max_size=3),
        "env": st.dictionaries(st.sampled_from(["LEVEL", "_x", "A1"]), text, max_size=2),
        "secrets": st.just({"PASSWORD": "database/password"}),
        "resources": resources,
        "scratch": st.sampled_from(["1Gi", "500M"]),
        "read_only_root_filesystem": st.booleans(),
        "node_group": good_or_odd(st.sampled_from(["default", "high-cpu"]), st.sampled_from(["gpu", "x"])),
        "startup_timeout": duration,
        "queue_timeout": duration,
        "priority": good_or_odd(st.sampled_from(["low", "high"]), st.just("highest")),
    }
    image = good_or_odd(st.just("inference"), st.sampled_from(["nothing", "a.b/c:1", "a b/c"]))
    made: dict[str, Any] = draw(st.fixed_dictionaries({**common, "image": image}, optional={**optional, **pod}))
    return {**made, **draw(uses(needs, before))}


@st.composite
def uses(draw: st.DrawFn, needs: list[str], before: dict[str, Any]) -> dict[str, Any]:
    """A foreach, a gate, or neither."""
    pods = [name for name in needs if "type" not in before[name] and "foreach" not in before[name]]
    kinds: list[st.SearchStrategy[dict[str, Any]]] = [st.just({})]
    kinds.append(
        st.fixed_dictionaries(
            {"foreach": st.lists(st.one_of(scalar, st.just({"name": "deep", "depth": 9})), min_size=1, max_size=4)},
            optional={"concurrency": st.integers(1, 9), "args": st.just(["{{ item }}", "{{ item | tojson }}"])},
        )
    )
    if pods:
        source = st.sampled_from(pods)
        kinds.append(st.fixed_dictionaries({"foreach": st.fixed_dictionaries({"output_of": source})}))
        number = st.fixed_dictionaries({"output_of": source, "value": st.just("figures.psi"), "above": st.just(0.2)})
        same = st.fixed_dictionaries({"output_of": source, "equals": scalar})
        kinds.append(st.fixed_dictionaries({"gate": st.one_of(number, same)}))
        kinds.append(source.map(lambda name: {"args": [f"{{{{ outputs['{name}'] | tojson }}}}"]}))
    return draw(st.one_of(kinds))


@st.composite
def typed(draw: st.DrawFn) -> dict[str, st.SearchStrategy[Any]]:
    """Draw the type and arguments of a task without a pod."""
    kind, arguments = draw(
        st.sampled_from(
            [
                ("wait-for-s3-key", {"bucket_key": "s3://raw/{{ ds }}/_SUCCESS"}),
                ("wait-for-s3-key", {"bucket_key": "s3://raw/*.json", "wildcard_match": True}),
                ("sql-check", {"sql": "SELECT COUNT(*) FROM t WHERE day = '{{ day }}'"}),
                ("sql-value-check", {"sql": "SELECT 1.sql", "pass_value": 1, "tolerance": 0.1}),
            ]
        )
    )
    return {"type": st.just(kind), "with": st.just(arguments)}
