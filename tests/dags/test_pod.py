"""The pod that a task becomes, whole: everything that bounds it is in there."""

import inspect
import re
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from jobyard.contract import BROKEN_TAG
from jobyard.operator import JobPodOperator
from jobyard.platform import read_platform
from jobyard.pod import pod_arguments, task_arguments
from jobyard.pod_parts import DO_NOT_DISRUPT
from kubernetes.client import ApiClient
from support import PLATFORM, Bucket, context, job, task

URL = "registry.example.com/risk/inference@sha256:0123"


def operator(bucket: Bucket, **changes: Any) -> JobPodOperator:
    """Return the operator of a job's only task, its image a URL."""
    dag = bucket.dag(job(tasks={"predict": task(**{"image": URL, **changes})}))
    found = dag.get_task("predict")
    assert isinstance(found, JobPodOperator)
    return found


def pod(bucket: Bucket, of: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the pod as it would be sent to the API server."""
    built = operator(bucket, **changes).build_pod_request_obj(of)
    return ApiClient().sanitize_for_serialization(built)


def test_the_whole_pod(bucket: Bucket) -> None:
    sent = pod(
        bucket,
        command=["python", "-m", "inference"],
        env={"MODEL": "xgboost"},
        node_group="graviton",
        resources={"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    )
    assert re.fullmatch(r"score-predict-[a-z0-9]{8}", sent["metadata"].pop("name"))
    assert sent == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "team-risk",
            "annotations": {"karpenter.sh/do-not-disrupt": "true"},
            "labels": {
                "jobyard.dev/team": "risk",
                "jobyard.dev/job": "score",
                "jobyard.dev/task": "predict",
                "jobyard.dev/environment": "local",
                "jobyard.dev/cost-center": "4711",
                "airflow_version": airflow_version,
                "airflow_kpo_in_cluster": "False",
            },
        },
        "spec": {
            "activeDeadlineSeconds": 8100,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "base",
                    "image": URL,
                    "command": ["python", "-m", "inference"],
                    "args": ["--date", "{{jobyard_template('\\u007b\\u007b ds \\u007d\\u007d')}}"],
                    "env": [{"name": "MODEL", "value": "xgboost"}],
                    "envFrom": [],
                    "ports": [],
                    "volumeMounts": [],
                    "resources": {
                        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "2Gi"},
                        "limits": {"memory": "1Gi", "ephemeral-storage": "2Gi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "terminationMessagePath": "/airflow/xcom/return.json",
                    "terminationMessagePolicy": "File",
                }
            ],
            "hostNetwork": False,
            "imagePullSecrets": [],
            "initContainers": [],
            "nodeSelector": {"jobyard.dev/node-group": "graviton", "kubernetes.io/arch": "arm64"},
            "priorityClassName": "risk.normal-2000",
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "serviceAccountName": "jobs",
            "tolerations": [
                {
                    "key": "jobyard.dev/node-group",
                    "operator": "Equal",
                    "value": "graviton",
                    "effect": "NoSchedule",
                }
            ],
            "volumes": [],
        },
    }


def test_a_secret_is_a_reference_and_never_a_value(bucket: Bucket) -> None:
    secrets = {"DATABASE_PASSWORD": {"secret": "database", "key": "password"}}
    (container,) = pod(bucket, env={"DATABASE_USER": "risk"}, secrets=secrets)["spec"]["containers"]
    assert container["env"] == [
        {"name": "DATABASE_USER", "value": "risk"},
        {"name": "DATABASE_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}},
    ]


def test_scratch_space_is_a_folder_of_the_pods_own_with_a_limit(bucket: Bucket) -> None:
    spec = pod(bucket, scratch="20Gi")["spec"]
    assert spec["volumes"] == [{"name": "scratch", "emptyDir": {"sizeLimit": "20Gi"}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "scratch", "mountPath": "/scratch"}]


def test_the_root_file_system_can_be_read_only_beside_scratch_space_and_output(bucket: Bucket) -> None:
    spec = pod(bucket, read_only_root_filesystem=True, scratch="1Gi", output=True)["spec"]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    # Both stay writable: a volume, and a file that the kubelet mounts.
    assert spec["volumes"] == [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}]
    assert container["volumeMounts"] == [{"name": "scratch", "mountPath": "/scratch"}]
    assert container["terminationMessagePath"] == "/airflow/xcom/return.json"


@pytest.mark.parametrize("changes", [{}, {"read_only_root_filesystem": False}])
def test_the_root_file_system_can_be_written_otherwise(bucket: Bucket, changes: dict[str, bool]) -> None:
    (container,) = pod(bucket, **changes)["spec"]["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_a_retry_finds_the_pod_by_team_environment_and_run_whatever_the_try(bucket: Bucket) -> None:
    given = context()
    given["ti"].task_id, given["ti"].try_number = "predict", 2
    sent = pod(bucket, given)
    selector = operator(bucket)._build_find_pod_label_selector(given)
    assert selector.split(",") == [
        "dag_id=risk.score",
        "jobyard.dev/cost-center=4711",
        "jobyard.dev/environment=local",
        "jobyard.dev/job=score",
        "jobyard.dev/task=predict",
        "jobyard.dev/team=risk",
        "kubernetes_pod_operator=True",
        "run_id=scheduled__2026-11-02",
        "task_id=predict",
        "already_checked!=True",
        "!airflow-worker",
    ]
    assert sent["metadata"]["labels"]["try_number"] == "2"


def test_how_the_operator_goes_about_it(bucket: Bucket) -> None:
    found = operator(bucket)
    assert found.config_file == str(bucket.folder / "jobyard" / "kubeconfig.yaml")
    assert (found.in_cluster, found.cluster_context, found.kubernetes_conn_id) == (False, "risk", None)
    assert found.on_finish_action.value == "delete_pod"
    assert (found.random_name_suffix, found.reattach_on_restart) == (True, True)
    assert (found.get_logs, found.log_events_on_failure, found.log_pod_spec_on_failure) == (True, True, False)
    assert (found.deferrable, found.do_xcom_push) == (False, False)
    # Waiting for init containers' logs hangs while the pod is pending.
    assert not getattr(found, "init_container_logs", None)


@pytest.mark.parametrize(("own", "expected"), [(None, 600), (1200, 1200)])
def test_the_start_may_take_as_long_as_the_task_or_else_its_node_group_says(
    bucket: Bucket, own: int | None, expected: int
) -> None:
    assert operator(bucket, startup_timeout=own).startup_timeout_seconds == expected


def test_a_pods_name_is_at_most_63_characters(bucket: Bucket) -> None:
    long = "a" * 50
    dag = bucket.dag(job(tasks={long: task(image=URL)}), name=long)
    name = dag.get_task(long).build_pod_request_obj().metadata.name
    assert re.fullmatch(r"a{50}-a{3}-[a-z0-9]{8}", name)


def test_jinja_is_rendered_in_args_and_env(bucket: Bucket) -> None:
    found = operator(bucket, env={"DAY": "{{ ds }}"}, command=["run-{{ ds_nodash }}"])
    found.render_template_fields(context())
    [container] = found.build_pod_request_obj().spec.containers
    assert (container.args, container.command) == (["--date", "2026-11-02"], ["run-20261102"])
    assert [(entry.name, entry.value) for entry in container.env] == [("DAY", "2026-11-02")]


def test_the_running_provider_has_every_argument(bucket: Bucket) -> None:
    platform = read_platform(bucket.folder)
    passed = {*task_arguments("predict", task()), *pod_arguments(platform, "risk", "score", "predict", task())}
    of_pods = set(inspect.signature(KubernetesPodOperator.__init__).parameters)
    of_ours = set(inspect.signature(JobPodOperator.__init__).parameters) - {"arguments"}
    of_any_task = {
        "task_id",
        "execution_timeout",
        "trigger_rule",
        "retries",
        "retry_delay",
        "retry_exponential_backoff",
        "max_retry_delay",
    }
    assert passed <= of_pods | of_ours | of_any_task


@pytest.mark.parametrize(("timeout", "annotations"), [(600, {}), (601, DO_NOT_DISRUPT), (None, DO_NOT_DISRUPT)])
def test_karpenter_leaves_the_node_of_a_long_task_alone(
    bucket: Bucket, timeout: int | None, annotations: dict[str, str]
) -> None:
    assert pod(bucket, timeout=timeout)["metadata"].get("annotations", {}) == annotations


@pytest.mark.parametrize(
    ("timeout", "start", "deadline"),
    [
        (None, None, 604800),
        (None, 1200, 604800),
        # Kubernetes counts the pull of the image, `timeout` does not: the node group's 600 s, or the task's own.
        (7200, None, 7800),
        (7200, 1200, 8400),
        (604200, None, 604800),
        (604201, None, 604800),
        (604801, None, 604800),
    ],
)
def test_a_pod_has_time_to_start_before_its_timeout_and_a_deadline_that_the_platform_allows(
    bucket: Bucket, timeout: int | None, start: int | None, deadline: int
) -> None:
    assert pod(bucket, timeout=timeout, startup_timeout=start)["spec"]["activeDeadlineSeconds"] == deadline


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_timeout_is_the_pods_and_not_airflows_which_would_count_the_wait_for_a_node(
    bucket: Bucket, timeout: int | None
) -> None:
    found = operator(bucket, timeout=timeout)
    assert (found.timeout_seconds, found.execution_timeout) == (timeout, None)
    assert found.startup_timeout_seconds == 600


ON_OOM = {"percent": 200, "add": None, "at_most": "4Gi"}


def test_more_memory_after_an_oom_is_for_the_operator_and_not_in_the_first_pod(bucket: Bucket) -> None:
    assert operator(bucket, on_oom=ON_OOM).on_oom == ON_OOM
    assert operator(bucket).on_oom is None
    with_growth, without = pod(bucket, on_oom=ON_OOM), pod(bucket)
    for sent in (with_growth, without):
        del sent["metadata"]["name"]
    assert with_growth == without


def test_each_instance_of_a_foreach_has_the_timeout_and_the_growth(bucket: Bucket) -> None:
    foreach = {"items": [1, 2], "output_of": None, "concurrency": None}
    dag = bucket.dag(job(tasks={"predict": task(image=URL, timeout=60, on_oom=ON_OOM, foreach=foreach)}))
    instance = dag.get_task("predict").unmap({"item": 1})
    assert (instance.timeout_seconds, instance.execution_timeout, instance.on_oom) == (60, None, ON_OOM)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"percent": 109}, "tasks.predict.on_oom.percent: must be at least 110; got 109"),
        ({"percent": 401}, "tasks.predict.on_oom.percent: must be at most 400; got 401"),
        ({"percent": 1.5}, "tasks.predict.on_oom.percent: must be a whole number, not a number"),
        ({"at_most": "lots"}, "tasks.predict.on_oom.at_most: must be a quantity, such as 512Mi; got 'lots'"),
        (
            {"add": "1Gi"},
            "tasks.predict.on_oom: must have a number in either 'percent' or 'add', and null in the other",
        ),
        ({"percent": None}, "tasks.predict.on_oom: must have a number in either 'percent' or 'add'"),
        ({"more": 1}, "tasks.predict.on_oom: must not have the unknown field 'more'"),
    ],
)
def test_a_growth_that_is_malformed_makes_the_dag_that_says_why(
    bucket: Bucket, changes: dict[str, Any], words: str
) -> None:
    dag = bucket.dag(job(tasks={"predict": task(on_oom={**ON_OOM, **changes})}))
    assert BROKEN_TAG in dag.tags
    assert words in str(dag.description)


def test_the_platform_says_how_long_a_pod_may_run(bucket: Bucket) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, "longest_task": 3600})
    assert pod(bucket, timeout=None)["spec"]["activeDeadlineSeconds"] == 3600


@pytest.mark.parametrize("stated", [{}, {"fill_machines": False}])
def test_where_machines_are_not_filled_a_pod_prefers_none(bucket: Bucket, stated: dict[str, bool]) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, **stated})
    assert "affinity" not in pod(bucket)["spec"]


def test_where_machines_are_filled_a_pod_prefers_those_with_tasks_of_any_team(bucket: Bucket) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, "fill_machines": True})
    with_tasks = {
        "topologyKey": "kubernetes.io/hostname",
        "namespaceSelector": {},
        "labelSelector": {"matchExpressions": [{"key": "jobyard.dev/team", "operator": "Exists"}]},
    }
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": with_tasks}]}
    assert pod(bucket)["spec"]["affinity"] == {"podAffinity": preferred}


@pytest.mark.parametrize(("stated", "queueing"), [({}, "none"), ({"queueing": "kueue"}, "kueue")])
def test_the_platform_says_what_pods_wait_in(bucket: Bucket, stated: dict[str, str], queueing: str) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, **stated})
    assert read_platform(bucket.folder).queueing == queueing


@pytest.mark.parametrize(
    ("stated", "queue"), [({}, None), ({"queueing": "none"}, None), ({"queueing": "kueue"}, "jobs")]
)
def test_with_kueue_a_pod_has_its_queue(bucket: Bucket, stated: dict[str, str], queue: str | None) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, **stated})
    labels = pod(bucket)["metadata"]["labels"]
    assert labels.get("kueue.x-k8s.io/queue-name") == queue


@pytest.mark.parametrize("longest", [None, 3600])
def test_a_pod_may_wait_for_quota_as_long_as_the_task_says(bucket: Bucket, longest: int | None) -> None:
    assert operator(bucket, queue_timeout=longest).queue_timeout_seconds == longest
    assert operator(bucket).queue_timeout_seconds is None


def test_a_release_of_before_disks_were_bounded_gets_a_limit(bucket: Bucket) -> None:
    asked = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "5Gi"}
    [container] = pod(bucket, resources={"requests": asked, "limits": {"memory": "1Gi"}})["spec"]["containers"]
    assert container["resources"] == {"requests": asked, "limits": {"memory": "1Gi", "ephemeral-storage": "5Gi"}}


def test_an_image_of_another_registry_makes_the_dag_that_says_why(bucket: Bucket) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, "image_registries": ["registry.example.com"]})
    assert pod(bucket)["spec"]["containers"][0]["image"] == URL
    dag = bucket.dag(job(tasks={"predict": task(image="python:3")}))
    assert BROKEN_TAG in dag.tags
    words = "image 'python:3' must come from a registry of this environment: registry.example.com"
    assert words in f"{dag.description} {dag.doc_md}"


def test_a_team_without_a_cost_center_is_its_own(bucket: Bucket) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, "cost_centers": {"care": "9"}})
    assert pod(bucket)["metadata"]["labels"]["jobyard.dev/cost-center"] == "risk"
