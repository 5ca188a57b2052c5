"""The same tasks by the provider's own operator, for the dags folder: deferred, and held by a worker."""

import pendulum
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from kubernetes.client import V1ResourceRequirements  # type: ignore[import-untyped]


def make_dag(name: str, tasks: int, deferrable: bool) -> DAG:
    """Return a DAG whose tasks do not depend on each other."""
    start = pendulum.datetime(2026, 3, 1, tz="UTC")
    with DAG(dag_id=f"team0.{name}", schedule=None, start_date=start, is_paused_upon_creation=False) as dag:
        for number in range(tasks):
            KubernetesPodOperator(
                task_id=f"t{number}",
                name=f"{name}-t{number}",
                image="example.com/image@sha256:0123",
                labels={"jobyard.dev/team": "team0", "jobyard.dev/job": name, "jobyard.dev/task": f"t{number}"},
                container_resources=V1ResourceRequirements(requests={"cpu": "10m", "memory": "16Mi"}),
                node_selector={"jobyard.dev/node-group": "default"},
                service_account_name="jobs",
                priority_class_name="team0.normal-2000",
                startup_timeout_seconds=600,
                config_file=KUBECONFIG,
                cluster_context="team0",
                namespace="team-team0",
                in_cluster=False,
                kubernetes_conn_id=None,
                on_finish_action="delete_pod",
                get_logs=True,
                deferrable=deferrable,
                pool="team0",
            )
    return dag


KUBECONFIG = __file__.replace("provider_dags.py", "jobyard/kubeconfig.yaml")
sample = make_dag("provider-sample", 1, True)
deferred = make_dag("provider-deferred", 10, True)
held = make_dag("provider-held", 10, False)
