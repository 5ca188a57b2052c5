"""Runs jobs in an Airflow 2 without a scheduler, one after the other, on whatever cluster their platform has.

Called with the path of a team's loader, the date of the runs, and the DAG ids; makes its database if it does not exist.
Of each run that came to its end it prints a line, `MARK` and JSON: task to state and number of tries.
"""

import json
import sys
from datetime import UTC, datetime

from airflow.logging_config import configure_logging
from airflow.models.dagbag import DagBag
from airflow.utils.db import initdb

MARK = "ended: "


def main(loader: str, date: str, *dag_ids: str) -> None:
    """Run them in this process, as a worker runs a task: SIGTERM stops the one that runs."""
    initdb(load_connections=False)
    # Making the database has set up the log in Alembic's way, which leaves out what pods say.
    configure_logging()
    bag = DagBag(loader, include_examples=False)
    assert bag.import_errors == {}, bag.import_errors
    for dag_id in dag_ids:
        run = bag.dags[dag_id].test(execution_date=datetime.fromisoformat(date).replace(tzinfo=UTC))
        tasks = {ti.task_id: (str(ti.state), ti.try_number) for ti in run.get_task_instances()}
        print(MARK + json.dumps(tasks), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
