"""How large a release may be: the one place with the numbers, which the library and the command line share.

Every team's release is read by the same few processes of Airflow and scheduled by the same scheduler. So each number
is far above what a team's jobs need, and is meant to keep the reading of the largest release within Airflow's limits of
30 s (`core.dagbag_import_timeout`) and 50 s (`dag_file_processor_timeout`). Nothing is imported here: the command
line reads these without Airflow. schemas/job.schema.json repeats what concerns one field; a test compares the two.
"""

# The whole release.
RELEASE_BYTES = 8 << 20
"""1,000 jobs of four tasks have 3 MB; what the file says is in memory as about ten times as much."""
RELEASE_BRACKETS = 500_000
"""Lists and objects in the file, also in the jobs' sources: an empty list is two bytes there and 64 in memory."""
RELEASE_JOBS = 1_000
"""MWAA's largest class runs 4,000 DAGs of all teams together."""
RELEASE_TASKS = 5_000
RELEASE_EDGES = 20_000
RELEASE_ASSETS = 5_000
"""Named by schedules, inputs and outputs; Airflow looks each one up in its database after every reading."""
RELEASE_INSTANCES = 100_000
"""Of all jobs, each with as many runs at once as it allows."""

# One job.
TASKS = 300
EDGES = 5_000
"""Needs of all tasks together, which the scheduler goes through in each round; fifty after fifty others are 2,500."""
ASSETS = 200
INSTANCES = 5_000
"""Of one run: a task with `foreach` has one for each item. The scheduler makes them all at once, in about a
millisecond each, and meanwhile starts nothing of any team."""
ACTIVE_INSTANCES = 20_000
"""Of as many runs as the job allows at once."""
ITEMS = 1_000
"""Of one `foreach`. A list that another task leaves counts as this many: Airflow's own bound is 1,024."""
ACTIVE_RUNS = 100
ACTIVE_TASKS = 1_000
AFTER = 50
WAITS = 20
TAGS = 50
PARAMS = 100
CHOICES = 100
TARGETS = 10
"""Whom one occasion alerts."""

# One task.
NEEDS = TASKS
TASK_ASSETS = 50
ARGUMENTS = 1_000
"""Entries of `args`, and of `command`."""
VARIABLES = 200
ATTEMPTS = 20
SECONDS = 365 * 86_400
"""Of every duration: a year. Airflow adds them to dates, which end with the year 9999, and Kubernetes to 32 bits."""

# Dates, in any time zone.
FIRST_YEAR = 1970
LAST_YEAR = 2199

# Characters.
SOURCE = 1 << 18
NAME = 50
JOB_NAME = 100
"""Of `<team>.<job>`. Airflow's ids have 250 characters, for the task that waits for a job too."""
OWNER = 94
"""A tag of Airflow's has 100, and each job has the tag `owner:<owner>`."""
TAG = 100
DESCRIPTION = 5_000
SCHEDULE = 100
"""A cron expression. Airflow stores it in words, which have to fit 1,000 characters of its database."""
TIMEZONE = 64
ASSET = 500
"""Airflow's column has 1,500 (2.x: 3,000) bytes."""
ADDRESS = 500
"""Of an image or of an alert."""
KUBERNETES_NAME = 253
QUANTITY = 30
TEXT = 32_768
"""Any other text: a value of `env`, one of `args`, an argument of a task type, an item."""
LABEL = 500
"""Title of a parameter, or one of its choices; the path of a gate's value."""
REASON = 1_000
"""Why a job is broken, as its page says it."""

# Values of any kind: items, and arguments of task types.
DEPTH = 10
ENTRIES = 1_000
"""Of one list or object."""
NUMBER = 2**53
"""Whole numbers beyond it are not the same in every reader of JSON (RFC 8259, section 6)."""
