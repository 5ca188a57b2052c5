"""Which of the waiting tasks Airflow starts first, and how many of a team's it runs at once.

Airflow queues by weight over all DAGs, and its default weight is the number of tasks behind a task: the widest job
would be before everybody. Here the weight is the position of the task's priority in its team's own band, so a team's
band says nothing of other teams. How many worker slots a team holds at most is the size of its pools, which
`jobyard publish-platform` makes: `<team>`, and `<team>.<pool>` for each pool that the team's file names.
"""

import re
from typing import Any

from jobyard.entries import Job
from jobyard.errors import JobError, UnknownNameError
from jobyard.platform import Team

WEIGHTS = 100
"""The weight of a priority at the upper end of the band; at the lower end it is 1."""


def default_arguments(team: Team, job: Job) -> dict[str, Any]:
    """Return the arguments of every operator of the job; what starts no pod is as urgent as the job's first pod.

    Raises:
        JobError: a task's priority is not the team's.
    """
    classes = {str(task["priority_class"]) for task in job["tasks"].values() if not task.get("type")}
    most = max((weight(team, name) for name in classes), default=1)
    return {"pool": team.name, "priority_weight": most, "weight_rule": "absolute"}


def weight(team: Team, priority_class: str) -> int:
    """Return the weight of the priority class, `<team>.<level>-<value>`: 1 to `WEIGHTS`.

    Raises:
        JobError: the class is not one of the team's.
    """
    match = re.fullmatch(rf"{re.escape(team.name)}\.[a-z0-9-]{{1,63}}-([0-9]{{1,10}})", priority_class)
    if not match:
        raise JobError(f"a priority class must be {team.name}.<level>-<value>; got {priority_class!r:.100}")
    low, high = team.priority_band
    value = min(max(int(match[1]), low), high)
    return 1 + (value - low) * (WEIGHTS - 1) // max(high - low, 1)


def pool(team: Team, name: str) -> str:
    """Return the pool, `<team>.<pool>`, which the platform has made.

    Raises:
        UnknownNameError: the platform's file of the team names no such pool. Airflow would never start the task.
    """
    own = [f"{team.name}.{pool_name}" for pool_name in sorted(team.pools)]
    if name not in own:
        raise UnknownNameError(f"pool of team {team.name!r}:", name, own)
    return name
