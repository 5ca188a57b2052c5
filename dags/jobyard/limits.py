"""The limits of a release, for the library and the command line.

A few processes of Airflow read the releases of all teams, and one scheduler schedules their jobs. Each limit is far
above what a team's jobs need; together they keep the time to read the largest release (2 to 4 s of a core, measured by
`make bench`) below Airflow's timeouts of 30 s (`core.dagbag_import_timeout`) and 50 s (`dag_file_processor_timeout`).
This module imports nothing, so that the command line can read it without Airflow. schemas/job.schema.json repeats the
limits of single fields; a test compares the two.
"""

# The whole release.
RELEASE_BYTES = 8 << 20
"""1,000 jobs of four tasks take 3 MB; in memory, a release takes about ten times the size of its file."""
RELEASE_BRACKETS = 500_000
"""Lists and objects in the file, including the jobs' sources: an empty list takes 2 bytes there and 64 in memory."""
RELEASE_JOBS = 1_000
"""MWAA's largest class runs 4,000 DAGs of all teams together."""
RELEASE_TASKS = 10_000
LOADER_TASKS = 2_500
"""Of one loader of a team's: `jobyard check` warns above it. Reading a quarter of 10,000 tasks and serializing the DAGs
takes 1.6 to 1.8 s of a core (`make bench`), and Airflow does it again every 30 s."""
RELEASE_EDGES = 40_000
RELEASE_ASSETS = 5_000
"""In schedules, inputs and outputs; Airflow looks up each one in its database whenever it has read the release."""
RELEASE_INSTANCES = 100_000
"""Over all jobs, each with its maximum number of active runs."""

# One job.
TASKS = 300
EDGES = 5_000
"""The needs of all tasks, which the scheduler evaluates in each loop; 50 tasks that need 50 others have 2,500."""
ASSETS = 200
INSTANCES = 5_000
"""Of one run: a task with `foreach` has one per item. The scheduler creates them all at once, at about a millisecond
each, and starts no task of any team meanwhile."""
ACTIVE_INSTANCES = 20_000
"""Over the maximum number of active runs."""
ITEMS = 1_000
"""Of one `foreach`. The output of another task counts as this many; Airflow's own limit is 1,024."""
ACTIVE_RUNS = 100
ACTIVE_TASKS = 1_000
AFTER = 50
WAITS = 20
TAGS = 50
PARAMS = 100
CHOICES = 100
TARGETS = 10
"""Recipients of one kind of alert."""

# One task.
NEEDS = TASKS
TASK_ASSETS = 50
ARGUMENTS = 1_000
"""Entries of `args`, and of `command`."""
VARIABLES = 200
ATTEMPTS = 20
MEMORY_STEPS = 10
"""How many pods of one try ask for more memory than the one before, which was killed for lack of it."""
MEMORY_PERCENT = (110, 400)
"""Least and most of the memory before, by which it grows."""
SECONDS = 365 * 86_400
"""Of each duration: a year. Airflow adds durations to dates, which end in 9999; Kubernetes stores 32 bits."""

# Dates, in any time zone.
FIRST_YEAR = 1970
LAST_YEAR = 2199

# Characters.
SOURCE = 1 << 18
NAME = 50
JOB_NAME = 100
"""Of `<team>.<job>`. Airflow's ids have 250 characters, including that of a task that waits for the job."""
OWNER = 94
"""A tag in Airflow has 100, and each job has the tag `owner:<owner>`."""
TAG = 100
COMMIT = 64
DESCRIPTION = 5_000
SCHEDULE = 100
"""Of a cron expression. Airflow stores its description, in a database column of 1,000 characters."""
TIMEZONE = 64
ASSET = 500
"""Airflow's database column has 1,500 bytes (2.x: 3,000)."""
ADDRESS = 500
"""Of an image, or of the recipient of an alert."""
KUBERNETES_NAME = 253
QUANTITY = 30
TEXT = 32_768
"""Any other string: a value of `env`, one of `args`, an argument of a task type, an item."""
LABEL = 500
"""The title of a parameter, or one of its choices; the path of a gate's value."""
REASON = 1_000
"""Why a job is broken, as its page in Airflow shows it."""

# Values of any type: items, and arguments of task types.
DEPTH = 10
ENTRIES = 1_000
"""Of one list or object."""
NUMBER = 2**53
"""JSON parsers disagree on larger whole numbers (RFC 8259, section 6)."""
