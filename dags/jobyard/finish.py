"""The end of a run: the moment at which the job's own asset is written."""

from jobyard.assets import job_asset
from jobyard.compat import DAG, BaseOperator, Context
from jobyard.edges import put_before
from jobyard.interval import send_data_interval
from jobyard.operator import JobPodOperator

# No task of a team's can have a dot in its name.
TASK_ID = "job.finished"


class JobFinishedOperator(BaseOperator):
    """Writes the job's asset after the last of several tasks."""

    def execute(self, context: Context) -> None:
        """Say which data the run was for; Airflow writes the asset."""
        send_data_interval(context, self.outlets)


def announce_success(dag: DAG) -> BaseOperator:
    """Let a successful run of the DAG write the job's asset, once; return the task that does it, with which a run ends.

    It is the last task, if there is one last task with one instance; a task of its own costs a worker some seconds.
    """
    asset = job_asset(dag.dag_id)
    # `dag.leaves` looks up each task's followers one by one.
    leaves = [task for task in dag.tasks if not task.downstream_task_ids]
    if len(leaves) == 1 and isinstance(leaves[0], JobPodOperator):
        leaves[0].add_outlets([asset])
        return leaves[0]
    finished = JobFinishedOperator(
        dag=dag, task_id=TASK_ID, outlets=[asset], trigger_rule="none_failed_min_one_success", retries=2
    )
    put_before(finished, leaves)
    return finished
