"""Assets (Airflow 2: datasets): what one job writes and another waits for.

Each job has an asset of its own, `x-jobyard://<team>/<job>`, written when a run has succeeded: `after` waits for it.
The others are a team's own: objects in S3, or any other name under an `x-` scheme. Airflow leaves such a scheme as it
is; for any other it loads every provider to ask how it is written, up to a second in each process that reads the job.
"""

import re

from jobyard.compat import Asset
from jobyard.errors import JobError

URI = re.compile(r"(s3|x-(?!jobyard:)[a-z0-9-]+)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._~!$&'()*+,;=:/-]*)?")
JOB = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*")


def job_asset(dag_id: str) -> Asset:
    """Return the asset that stands for a successful run of the job.

    Raises:
        JobError: no job can have that name.
    """
    if not JOB.fullmatch(dag_id):
        raise JobError(f"job {dag_id!r} is not <team>.<job>")
    return Asset(name=dag_id, uri=f"x-jobyard://{dag_id.replace('.', '/')}")


def named_asset(uri: str) -> Asset:
    """Return the asset with that URI.

    Raises:
        JobError: no URI of a team's: another job's success is not a team's to announce.
    """
    if not URI.fullmatch(uri):
        raise JobError(f"asset {uri!r} is not s3://bucket/key or x-<name>://…")
    return Asset(name=uri, uri=uri)
