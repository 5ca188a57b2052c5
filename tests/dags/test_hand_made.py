"""A release that no compiler wrote: whatever is in it, it is read at little cost and stops nobody.

Each job here is what a team's pipeline could put into the bucket by hand. It has to become the DAG that says why, in a
form that Airflow's database takes, and to leave the team's other jobs and the other teams alone.
"""

import json
import shutil
import subprocess
import sys
from typing import Any

from hand_made import ATTACKS, chain, each
from jobyard import limits, rules
from jobyard.compat import AIRFLOW_3
from support import Bucket, job, task

if AIRFLOW_3:
    from airflow.serialization.serialized_objects import DagSerialization as Serialization
else:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization

# The longest that reading a release which is too large as a whole may take, in seconds of CPU, and how many bytes.
CHEAP_SECONDS, CHEAP_BYTES = 3, 150_000_000


def stored(dag: Any) -> str:
    """Return the DAG as Airflow puts it into its database, which has to be JSON in UTF-8 without NUL."""
    text = json.dumps(Serialization.to_dict(dag), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    Serialization.from_dict(json.loads(text))
    return text


def test_no_attack_stops_a_job_of_anybodys(bucket: Bucket) -> None:
    # One reading of all of them, as in one release.
    bucket.release({**{name: entry for name, (entry, _) in ATTACKS.items()}, "healthy": job()})
    bucket.release({"other": job(tasks={"score": task(priority_class="care.normal-12000")})}, team="care")
    bag = bucket.parse()
    assert bag.import_errors == {}
    why = {
        dag_id.removeprefix("risk."): str(dag.description) for dag_id, dag in bag.dags.items() if "broken" in dag.tags
    }
    assert why.keys() == ATTACKS.keys()
    assert {"risk.healthy", "care.other"} <= bag.dags.keys()
    assert {name: why[name] for name, (_, reason) in ATTACKS.items() if reason not in why[name]} == {}
    for dag in bag.dags.values():
        assert len(dag.description) <= limits.REASON + len("Broken: ")
        assert len(stored(dag)) < 400_000


def release_of(**changes: Any) -> bytes:
    """Return a release of the team `risk`, with some of it changed."""
    return json.dumps({"schema_version": 1, "team": "risk", "jobs": {}, **changes}).encode()


RELEASES: dict[str, tuple[bytes, str]] = {
    "200-megabytes": (b"[" + b"[]," * 66_666_666 + b"1", "cannot be read: it has more than 8,388,608 bytes"),
    "two-million-lists": (b"[" + b"[]," * 2_000_000 + b"1]", "it has 2,000,001 lists and objects, more than 500,000"),
    "nested-100000-deep": (b"[" * 100_000 + b"]" * 100_000, "lists or objects are nested too deep"),
    "not-json": (b"jobs", "cannot be read: Expecting value"),
    "not-utf-8": (b'{"schema_version": 1, "team": "\xed\xa0\x80"}', "cannot be read: 'utf-8' codec can't decode"),
    "version-true": (release_of(schema_version=True), "has no schema_version"),
    "version-negative": (release_of(schema_version=-1), "has no schema_version"),
    "version-of-4000-digits": (release_of(schema_version=10**4000), "a number of many digits is newer than"),
    "version-of-5000-digits": (b'{"schema_version": 1' + b"0" * 5_000 + b"}", "cannot be read: Exceeds the limit"),
    "team-of-8-megabytes": (release_of(team="x" * 8_000_000), "(8,000,000 characters), not of 'risk'"),
    "team-with-nul-and-surrogate": (release_of(team="\0\ud800"), r"is a release of team '\x00\ud800'"),
    "1001-jobs": (release_of(jobs=dict.fromkeys(range(1_001))), "has 1,001 jobs, more than 1,000"),
    "10200-tasks": (
        release_of(jobs={f"j{number}": job(tasks=chain(300)) for number in range(34)}),
        "the release must have at most 10,000 tasks; got 10,200",
    ),
    "110000-instances": (
        release_of(jobs={f"j{number}": {**each([0] * 1_000), "max_active_runs": 10} for number in range(11)}),
        "the release must have at most 100,000 task instances in max_active_runs runs; got 110,000",
    ),
}
READ = """
import json, pathlib, resource, sys, time
sys.path.insert(0, sys.argv[1])
import jobyard.loader
from jobyard.errors import ReleaseError
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, found = peak(), {}
for folder in pathlib.Path(sys.argv[1], "tries").iterdir():
    begin = time.process_time()
    try:
        error = str(jobyard.load(str(folder / "risk.py")))
    except ReleaseError as raised:
        error = str(raised)
    found[folder.name] = [time.process_time() - begin, error]
print()
print(json.dumps([peak() - before, found]))
"""


def test_a_release_that_does_not_fit_is_an_import_error_and_cheap(bucket: Bucket) -> None:
    for name, (content, _) in RELEASES.items():
        file = bucket.folder / "tries" / name / "risk" / "jobs.json"
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        shutil.copytree(bucket.folder / "jobyard", bucket.folder / "tries" / name / "jobyard")
    # In a process of its own, whose peak of memory is that of nothing else.
    command = [sys.executable, "-c", READ, str(bucket.folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, found = json.loads(ran.stdout.splitlines()[-1])
    assert growth < CHEAP_BYTES
    assert {name: error for name, (_, error) in found.items() if RELEASES[name][1] not in error} == {}
    assert {name: seconds for name, (seconds, _) in found.items() if seconds > CHEAP_SECONDS} == {}
    for _, error in found.values():
        assert rules.storable(error, 2 * limits.REASON) == error
