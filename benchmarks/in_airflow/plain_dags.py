"""The DAGs of benchmarks/job.yaml as a person would write them without Jobyard, as often as $JOBS says.

With more than four tasks, $TASKS, a DAG has the four again and again, each time with a number.
"""

import os
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pendulum
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import (  # type: ignore[import-untyped]
    V1Capabilities,
    V1PodSecurityContext,
    V1ResourceRequirements,
    V1SeccompProfile,
    V1SecurityContext,
    V1Toleration,
)

if TYPE_CHECKING or find_spec("airflow.sdk"):
    from airflow.sdk import DAG, CronDataIntervalTimetable

    BACKOFF = 2.0
else:
    from airflow.models import DAG
    from airflow.timetables.interval import CronDataIntervalTimetable

    BACKOFF = True

TASKS = {
    "ingest": ("feature-generation", ["--date", "{{ ds }}", "--table", "consultations"], None),
    "features": ("feature-generation", ["--date", "{{ ds }}"], "ingest"),
    "inference": ("inference", ["predict", "--date", "{{ ds }}"], "features"),
    "report": ("inference", ["report", "--date", "{{ ds }}"], "inference"),
}
COUNT = int(os.environ["TASKS"])
KUBECONFIG = "/usr/local/airflow/dags/jobyard/kubeconfig.yaml"
TIMEZONE = pendulum.timezone("Asia/Jakarta")


def make_dag(number: int) -> DAG:
    name = f"job-{number:04d}"
    dag = DAG(
        dag_id=f"plain.{name}",
        description=f"Job {number} of many.",
        schedule=CronDataIntervalTimetable("0 2 * * *", timezone=TIMEZONE),
        start_date=pendulum.datetime(2026, 11, 1, tz=TIMEZONE),
        catchup=False,
        max_active_runs=1,
        default_args={"owner": "risk-ml@example.com"},
        tags=["team:risk"],
    )
    operators = {}
    for place in range(COUNT):
        kind = list(TASKS)[place % 4]
        image, args, need = TASKS[kind]
        block = "" if COUNT == 4 else f"-{place // 4}"
        task = f"{kind}{block}"
        large = kind == "features"
        group = "high-cpu" if large else "default"
        memory = "16Gi" if large else "1Gi"
        operators[task] = KubernetesPodOperator(
            dag=dag,
            task_id=task,
            name=f"{name}-{task}",
            image=f"{{{{ var.json.jobyard_images_risk['{image}'] }}}}",
            arguments=args,
            env_vars={"LEVEL": "info"} if large else {},
            labels={
                "jobyard.dev/team": "risk",
                "jobyard.dev/job": name,
                "jobyard.dev/task": task,
                "jobyard.dev/environment": "dev",
                "jobyard.dev/cost-center": "risk",
            },
            annotations={"karpenter.sh/do-not-disrupt": "true"},
            container_resources=V1ResourceRequirements(
                requests={"cpu": "4" if large else "500m", "memory": memory}, limits={"memory": memory}
            ),
            node_selector={"jobyard.dev/node-group": group, "kubernetes.io/arch": "amd64"},
            tolerations=[
                V1Toleration(key="jobyard.dev/node-group", operator="Equal", value="high-cpu", effect="NoSchedule")
            ]
            if large
            else [],
            service_account_name="jobs",
            priority_class_name="risk.normal-2000",
            startup_timeout_seconds=600,
            active_deadline_seconds=7200,
            execution_timeout=timedelta(hours=2),
            trigger_rule="all_done" if kind == "report" else "all_success",
            config_file=KUBECONFIG,
            cluster_context="risk",
            namespace="team-risk",
            in_cluster=False,
            kubernetes_conn_id=None,
            security_context=V1PodSecurityContext(
                run_as_non_root=True, seccomp_profile=V1SeccompProfile(type="RuntimeDefault")
            ),
            container_security_context=V1SecurityContext(
                allow_privilege_escalation=False, capabilities=V1Capabilities(drop=["ALL"])
            ),
            on_finish_action="delete_pod",
            get_logs=True,
            log_events_on_failure=True,
            retries=3,
            retry_delay=timedelta(minutes=5),
            retry_exponential_backoff=BACKOFF,
            max_retry_delay=timedelta(hours=1),
        )
        if need:
            operators[task].set_upstream(operators[f"{need}{block}"])
    return dag


globals().update({dag.dag_id: dag for dag in map(make_dag, range(int(os.environ["JOBS"])))})
