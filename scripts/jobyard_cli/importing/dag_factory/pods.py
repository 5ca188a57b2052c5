"""The fields of a KubernetesPodOperator as those of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobyard.quantities import parse_quantity

from jobyard_cli.importing.dag_factory import values
from jobyard_cli.importing.dag_factory.account import Section
from jobyard_cli.importing.dag_factory.reading import plain
from jobyard_cli.importing.model import TODO
from jobyard_cli.importing.secrets import find

_BY_NODE_GROUP = "the node group says so"
_BY_PLATFORM = "the platform sets it for the team"
_ALWAYS = "every task has it so"
_SHOWN = "Airflow shows it; nothing depends on it"
LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(("tolerations", "affinity", "schedulername", "runtime_class_name"), _BY_NODE_GROUP),
    **dict.fromkeys(
        (
            "namespace",
            "in_cluster",
            "config_file",
            "cluster_context",
            "kubernetes_conn_id",
            "cluster_name",
            "aws_conn_id",
            "region",
            "labels",
            "annotations",
            "priority_class_name",
            "image_pull_secrets",
            "name",
            "random_name_suffix",
            "automount_service_account_token",
        ),
        _BY_PLATFORM,
    ),
    **dict.fromkeys(
        (
            "get_logs",
            "log_events_on_failure",
            "is_delete_operator_pod",
            "on_finish_action",
            "deferrable",
            "poll_interval",
            "logging_interval",
            "startup_check_interval_seconds",
            "reattach_on_restart",
            "termination_grace_period",
            "image_pull_policy",
            "container_logs",
            "base_container_name",
            "termination_message_policy",
            "active_deadline_seconds",
            "operator",
            "task_id",
        ),
        _ALWAYS,
    ),
    **dict.fromkeys(
        ("security_context", "container_security_context"), "every pod runs without root and without capabilities"
    ),
    **dict.fromkeys(("doc", "doc_md", "doc_json", "doc_yaml", "ui_color", "task_display_name"), _SHOWN),
    **dict.fromkeys(("dag", "provide_context", "owner"), "it has no effect on a pod"),
    **dict.fromkeys(
        ("queue", "executor", "executor_config", "run_as_user", "resources_class"),
        "it is about Airflow's workers, and the work is in the pod",
    ),
    **dict.fromkeys(("priority_weight", "weight_rule"), "the task's `priority` decides"),
    "pool_slots": "a task takes one slot of its pool",
    "do_xcom_push": "the output of a task is kept where another task uses it (docs/job.md)",
}
"""Reasons of keys that are left out, by their names."""
NOT_MOVED: Mapping[str, str] = {
    "volumes": "a pod has /scratch (`scratch: 20Gi`) and no other volume; read and write data on S3",
    "volume_mounts": "a pod has /scratch (`scratch: 20Gi`) and no other volume; read and write data on S3",
    "env_from": "name each variable, in `env` or `secrets`",
    "configmaps": "name each variable, in `env`",
    "init_containers": "a pod has one container: put the work into the image, or into a task before this one",
    "full_pod_spec": "write what it says as fields of the task",
    "pod_template_file": "write what it says as fields of the task",
    "pod_template_dict": "write what it says as fields of the task",
    "hostnetwork": "pods have no access to the network of their machine",
    "dnspolicy": "pods use the cluster's DNS",
    "depends_on_past": "a run does not wait for the one before; `max_active_runs: 1` runs one at a time",
    "wait_for_downstream": "a run does not wait for the one before; `max_active_runs: 1` runs one at a time",
    "skip_on_exit_code": "a task fails with any exit code but 0; use a `gate` to skip",
    "callbacks": "Airflow runs no code of a team's; see `alerts`",
    "sla": "set the job's `deadline`, with `alerts.on_missed_deadline`",
}
"""What a person has to do otherwise, by the names of keys that no job has."""
_CALLBACKS = ("on_execute_callback", "on_success_callback", "on_failure_callback", "on_retry_callback")
_MOVED_BY = {"requests": "", "limits": "_limit"}


@dataclass(frozen=True)
class Known:
    """What the team's repository has: its node groups with their labels and machines, service accounts and pools."""

    node_groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    service_accounts: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()


def common_fields(section: Section, known: Known) -> dict[str, Any]:
    """Return the fields that `defaults` of a job and a task have alike, for the keys of the section."""
    fields: dict[str, Any] = {}
    _retries(section, fields)
    _durations(section, fields)
    _node_group(section, fields, known)
    _named(section, fields, "service_account_name", "service_account", known.service_accounts)
    _named(section, fields, "pool", "pool", known.pools)
    return fields


def pod_fields(section: Section) -> dict[str, Any]:
    """Return the fields that a task alone has, or that replace those of the defaults."""
    fields: dict[str, Any] = {}
    _image(section, fields)
    _words(section, fields, "cmds", "command")
    _words(section, fields, "arguments", "args")
    _env(section, fields)
    _secrets(section, fields)
    _resources(section, fields)
    _assets(section, fields)
    _hide_secrets(section, fields)
    if rule := section.get("trigger_rule"):
        fields["trigger_rule"] = str(rule)
        section.imported("trigger_rule", "trigger_rule")
    return fields


def explain_rest(section: Section, otherwise: str = "a task has no such field") -> None:
    """Give every key that is left an outcome; `otherwise` is the reason of those of which nothing is known."""
    for key, advice in NOT_MOVED.items():
        if key in section and section.get(key) is not False:
            section.todo(key, advice)
    explain_callbacks(section, _CALLBACKS)
    section.rest(LEFT_OUT, otherwise)


def explain_callbacks(section: Section, keys: Sequence[str]) -> None:
    """Say of these callbacks, however the file names them, what takes their place."""
    for key in keys:
        for name in (key, f"{key}_name", f"{key}_file"):
            if name in section:
                section.todo(name, "Airflow runs no code of a team's; say in `alerts` who hears of it")


def duration_of(section: Section, keys: Sequence[str], field: str, example: str) -> str | None:
    """Return the time of the first of the keys, which becomes that field of the job; None without one."""
    found = section.first(*keys)
    if not found:
        return None
    time = values.duration(plain(section.get(found)))
    if time:
        section.imported(found, f"{field}: {time}")
    else:
        section.todo(found, f"set `{field}`, such as {example}")
    return time


def _retries(section: Section, fields: dict[str, Any]) -> None:
    retries: dict[str, Any] = {}
    if isinstance(section.get("retries"), int):
        retries["attempts"] = section.get("retries")
        section.imported("retries", "retries.attempts")
    for key, name in (("retry_delay", "delay"), ("max_retry_delay", "max_delay")):
        if time := duration_of(section, (key, f"{key}_sec", f"{key}_secs"), f"retries.{name}", "5m"):
            retries[name] = time
    if "retry_exponential_backoff" in section:
        if section.get("retry_exponential_backoff"):
            retries["backoff"] = "exponential"
        section.imported("retry_exponential_backoff", "retries.backoff")
    if "backoff" not in retries:
        retries.pop("max_delay", None)
    if retries:
        fields["retries"] = retries


def _durations(section: Section, fields: dict[str, Any]) -> None:
    names = {
        "timeout": ("execution_timeout", "execution_timeout_sec", "execution_timeout_secs", "active_deadline_seconds"),
        "startup_timeout": ("startup_timeout_seconds",),
    }
    for name, keys in names.items():
        if time := duration_of(section, keys, name, "2h"):
            fields[name] = time


def _node_group(section: Section, fields: dict[str, Any], known: Known) -> None:
    key = section.first("node_selector", "node_selectors")
    if not key:
        return
    selector = plain(section.get(key))
    fitting = [name for name, group in known.node_groups.items() if _fits(selector, group)]
    if len(fitting) == 1:
        fields["node_group"] = fitting[0]
        section.imported(key, f"node_group: {fitting[0]}")
    else:
        groups = ", ".join(sorted(known.node_groups)) or "none is known here"
        section.todo(key, f"name the `node_group` for {selector} (the team may use: {groups})")


def _fits(selector: Any, group: Mapping[str, Any]) -> bool:
    """Whether a selector says nothing but what the nodes of a group have, and something of this group alone."""
    if not isinstance(selector, Mapping) or not selector:
        return False
    has: dict[str, list[Any]] = {"kubernetes.io/os": ["linux"], "kubernetes.io/arch": [group.get("architecture")]}
    for key in ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"):
        has[key] = list(group.get("instanceTypes", []))
    has |= {key: [value] for key, value in group.get("labels", {}).items()}
    return all(value in has.get(key, []) for key, value in selector.items())


def _named(section: Section, fields: dict[str, Any], key: str, name: str, known: frozenset[str]) -> None:
    if key not in section:
        return
    value = str(section.get(key))
    if value in known:
        fields[name] = value
        section.imported(key, f"{name}: {value}")
    elif value == "default_pool":
        section.left_out(key, "each team has a pool of its own")
    else:
        listed = ", ".join(sorted(known)) or "none"
        section.todo(key, f"the team has no {name.replace('_', ' ')} '{value}' (values/team.yaml has: {listed})")


def _image(section: Section, fields: dict[str, Any]) -> None:
    if "image" not in section:
        return
    image = str(section.get("image"))
    if "{{" in image or "$" in image:
        fields["image"] = TODO
        section.todo("image", f"name the folder in images/, or the address, for {image}")
        return
    fields["image"] = image
    section.imported("image", "image")


def _words(section: Section, fields: dict[str, Any], key: str, name: str) -> None:
    if key not in section:
        return
    words = values.strings(plain(section.get(key)))
    if words is None:
        section.todo(key, f"write `{name}` as a list of texts")
        return
    fields[name] = words
    section.imported(key, name)


def _env(section: Section, fields: dict[str, Any]) -> None:
    if "env_vars" not in section:
        return
    given = plain(section.get("env_vars"))
    pairs = given if isinstance(given, Mapping) else _variables(given)
    env = {str(name): str(value) for name, value in pairs.items() if not isinstance(value, Mapping | None)}
    secrets = {name: _secret_key(value) for name, value in pairs.items() if isinstance(value, Mapping)}
    if env:
        fields["env"] = env
    if secrets:
        fields["secrets"] = secrets
    if TODO in secrets.values() or (given and not pairs):
        section.todo("env_vars", "name each variable with its value, or with <secret>/<key> under `secrets`")
    else:
        section.imported("env_vars", " and ".join(name for name in ("env", "secrets") if name in fields) or "env")


def _variables(given: Any) -> dict[str, Any]:
    """Return a list of V1EnvVar as a mapping; what comes from a Secret stays a mapping."""
    found: dict[str, Any] = {}
    for one in given if isinstance(given, list) else []:
        if isinstance(one, Mapping) and "name" in one:
            found[str(one["name"])] = one.get("value") or one.get("value_from") or one.get("valueFrom") or ""
    return found


def _secret_key(source: Mapping[str, Any]) -> str:
    chosen = source.get("secret_key_ref") or source.get("secretKeyRef")
    if isinstance(chosen, Mapping) and chosen.get("name") and chosen.get("key"):
        return f"{chosen['name']}/{chosen['key']}"
    return TODO


def _secrets(section: Section, fields: dict[str, Any]) -> None:
    if "secrets" not in section:
        return
    given = plain(section.get("secrets"))
    found = {}
    for one in given if isinstance(given, list) else []:
        if isinstance(one, Mapping) and one.get("deploy_type") == "env" and one.get("deploy_target") and one.get("key"):
            found[str(one["deploy_target"])] = f"{one.get('secret')}/{one['key']}"
    if found and len(found) == len(given):
        fields["secrets"] = {**fields.get("secrets", {}), **found}
        section.imported("secrets", "secrets")
    else:
        fields["secrets"] = {**fields.get("secrets", {}), **found}
        section.todo("secrets", "write each as VARIABLE: <secret>/<key>; a secret can't be a file")
    if not fields["secrets"]:
        del fields["secrets"]


def _resources(section: Section, fields: dict[str, Any]) -> None:
    key = section.first("container_resources", "resources")
    if not key:
        return
    given = plain(section.get(key))
    resources: dict[str, Any] = {}
    unread = [] if isinstance(given, Mapping) else ["it"]
    for part, suffix in _MOVED_BY.items():
        amounts = given.get(part) if isinstance(given, Mapping) else None
        for name, amount in amounts.items() if isinstance(amounts, Mapping) else []:
            if not _amount(resources, str(name), suffix, amount):
                unread.append(f"{part}.{name}")
    _tidy(resources)
    if resources:
        fields["resources"] = resources
    if unread:
        section.todo(key, f"write under `resources` what {', '.join(unread)} says")
    else:
        section.imported(key, "resources")


def _amount(resources: dict[str, Any], name: str, suffix: str, amount: Any) -> bool:
    """Add one amount; return whether a job has such."""
    if name == "nvidia.com/gpu" and str(amount).isdigit():
        resources["gpu"] = int(str(amount))
        return True
    # A pod's disk is bounded by the size of its scratch.
    if name == "ephemeral-storage":
        return True
    read = {"cpu": values.cpu, "memory": values.memory}.get(name)
    text = read(amount) if read else None
    if text is None:
        return False
    resources[f"{name}{suffix}"] = text
    return True


def _tidy(resources: dict[str, Any]) -> None:
    """Memory's limit is its request; a limit alone is, in Kubernetes too, the request."""
    for name in ("cpu", "memory"):
        limit = f"{name}_limit"
        if limit in resources and name not in resources:
            resources[name] = resources[limit]
        if name == "memory" and limit in resources and _same(resources[limit], resources[name]):
            del resources[limit]


def _hide_secrets(section: Section, fields: dict[str, Any]) -> None:
    """Have a task refer to the secrets that its variables and arguments have, instead of repeating them."""
    hidden: dict[str, str] = {}
    kept = {}
    for name, value in fields.get("env", {}).items():
        if find(f"{name}={value}"):
            hidden[name] = TODO
        else:
            kept[name] = value
    for key in ("command", "args"):
        if key in fields:
            fields[key] = list(_without(fields[key], hidden))
    if not hidden:
        return
    fields["env"] = kept
    if not kept:
        del fields["env"]
    fields["secrets"] = {**fields.get("secrets", {}), **hidden}
    section.note("secrets", f"write <secret>/<key> for {', '.join(hidden)}: the value was not copied")


def _without(words: Sequence[str], hidden: dict[str, str]) -> Iterator[str]:
    """Yield arguments with each secret as a variable, which Kubernetes puts in its place."""
    before = ""
    for word in words:
        # An option and its value may be two words.
        text = f"{before}{word}"
        for place in reversed(find(text)):
            if place.start >= len(before):
                hidden[place.name] = TODO
                text = f"{text[: place.start]}$({place.name}){text[place.end :]}"
        yield text[len(before) :]
        before = f"{word} "


def _same(one: str, other: str) -> bool:
    return parse_quantity(one) == parse_quantity(other)


def _assets(section: Section, fields: dict[str, Any]) -> None:
    for key, name in (("inlets", "inputs"), ("outlets", "outputs")):
        if key not in section:
            continue
        addresses = values.strings(plain(section.get(key)))
        if addresses and all("://" in address for address in addresses):
            fields[name] = addresses
            section.imported(key, name)
        else:
            section.todo(key, f"write `{name}` as addresses, such as s3://bucket/key")
