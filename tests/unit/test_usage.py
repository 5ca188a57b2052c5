"""`jobyard usage`: the table from the bucket and from a local copy, and what it says where something is missing."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from botocore.exceptions import ClientError
from jobyard_cli.aws import clients
from jobyard_cli.usage import quantities
from jobyard_cli.usage.address import NoMetricsError, metrics_address
from jobyard_cli.usage.advice import parsed
from jobyard_metrics.tables import ADVICE, advice_name

from tests.unit.usage_rows import GIB, NOT_SAMPLED, Row, as_json, measured_platform, row

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddJob = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
KEY = f"metrics/{advice_name('risk', 'json')}"
ROWS: list[Row] = [
    row("score", "inference", requested_cpu=0.5, requested_memory=GIB, **NOT_SAMPLED),
    row("train", "fold", 1, runs=3, sampled=3, fits_cpu=None, fits_memory=None, saves=None),
    row("train", "fold", 0, sampled=28, saves=-3_100_000_000, memory_peak=17 * GIB, fits_memory=20 * GIB),
    row("score", "features"),
]
TABLE = """\
TASK             SAMPLED   RESOURCE  REQUESTED  PEAK         P95     WOULD FIT     SAVES A MONTH
score.features   30 of 30  cpu       4          1900m        1450m   1600m         $41.20
                           memory    16Gi       3175Mi       2839Mi  4Gi
train.fold[0]    28 of 30  cpu       4          1900m        1450m   1600m         -$3.10
                           memory    16Gi       17Gi         2839Mi  20Gi
score.inference  0 of 30   cpu       500m       not sampled  -       -             -
                           memory    1Gi        not sampled  -       -
train.fold[1]    3 of 3    cpu       4          1900m        1450m   too few runs  -
                           memory    16Gi       3175Mi       2839Mi  too few runs

Fitting requests would save $38.10 a month.
Prometheus did not sample every run: what the others used is not known, which is not zero.
"""


def parquet(*rows: Row) -> bytes:
    """The table that the platform's job writes beside the JSON."""
    file = BytesIO()
    pl.DataFrame(list(rows), ADVICE, orient="row").write_parquet(file)
    return file.getvalue()


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A platform whose dev environment collects metrics; prod does not."""
    return measured_platform(tmp_path / "platform", "dev")


@pytest.fixture
def metrics(s3: S3Client) -> S3Client:
    """The bucket with the metrics of dev, still empty."""
    s3.create_bucket(Bucket="example-metrics", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return s3


@pytest.fixture
def usage_in_dev(jobyard: Run, platform: Path) -> Run:
    """`jobyard usage` in dev."""

    def run(*arguments: str) -> tuple[int, str, str]:
        return jobyard("usage", *arguments, "--environment", "dev", "--platform", str(platform))

    return run


def copy_of(folder: Path, suffix: str, body: bytes) -> Path:
    """A local copy of the metrics with one file; a folder."""
    file = folder / advice_name("risk", suffix)
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    return folder


def test_the_table_has_every_task_and_begins_with_what_saves_most(metrics: S3Client, usage_in_dev: Run) -> None:
    metrics.put_object(Bucket="example-metrics", Key=KEY, Body=as_json(*ROWS))
    assert usage_in_dev() == (0, f"Usage of team risk in dev\n\n{TABLE}", "")


def test_one_job_and_what_others_would_request(metrics: S3Client, usage_in_dev: Run) -> None:
    metrics.put_object(Bucket="example-metrics", Key=KEY, Body=as_json(*ROWS[:1], *ROWS[3:]))
    code, out, err = usage_in_dev("score", "--others")
    assert (code, err) == (0, "")
    heading, *rows = [line.split() for line in out.splitlines()[2:5]]
    assert " ".join(heading) == "TASK SAMPLED RESOURCE REQUESTED PEAK P95 WOULD FIT KRR VPA SAVES A MONTH"
    assert rows == [
        ["score.features", "30", "of", "30", "cpu", "4", "1900m", "1450m", "1600m", "1450m", "1903m", "$41.20"],
        ["memory", "16Gi", "3175Mi", "2839Mi", "4Gi", "3651Mi", "3687Mi"],
    ]


def test_json_has_canonical_quantities_and_null_for_what_is_not_known(metrics: S3Client, usage_in_dev: Run) -> None:
    metrics.put_object(Bucket="example-metrics", Key=KEY, Body=as_json(*ROWS[:1], *ROWS[3:]))
    code, out, err = usage_in_dev("--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["team"], found["from"]) == ("risk", "dev")
    counts = {"job": "score", "map_index": -1, "runs": 30}
    assert found["tasks"] == [
        {
            **counts,
            "task": "features",
            "sampled": 30,
            "cpu": {"requested": "4", "peak": "1900m", "p95": "1450m", "fits": "1600m"},
            "memory": {"requested": "16Gi", "peak": "3175Mi", "p95": "2839Mi", "fits": "4Gi"},
            "saves_usd_a_month": 41.2,
        },
        {
            **counts,
            "task": "inference",
            "sampled": 0,
            "cpu": {"requested": "500m", "peak": None, "p95": None, "fits": None},
            "memory": {"requested": "1Gi", "peak": None, "p95": None, "fits": None},
            "saves_usd_a_month": None,
        },
    ]
    others = json.loads(usage_in_dev("--format", "json", "--others")[1])["tasks"][0]
    assert (others["cpu"]["krr"], others["memory"]["vpa"]) == ("1450m", "3687Mi")


def test_parquet_and_json_have_the_same_rows() -> None:
    polars = pl.DataFrame(ROWS, ADVICE, orient="row").write_json().encode()
    assert set(ROWS[0]) == set(ADVICE)
    expected = parsed(as_json(*ROWS), "json", "x")
    assert parsed(polars, "json", "x") == parsed(parquet(*ROWS), "parquet", "x") == expected


@pytest.mark.parametrize(("suffix", "write"), [("json", as_json), ("parquet", parquet)])
def test_a_local_copy_needs_no_environment(jobyard: Run, tmp_path: Path, suffix: str, write: Any) -> None:
    folder = copy_of(tmp_path / "copy", suffix, write(*ROWS))
    assert jobyard("usage", "--from", str(folder)) == (0, f"Usage of team risk in {folder}\n\n{TABLE}", "")


def test_parquet_alone_needs_the_extra(jobyard: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_polars(name: str, *arguments: Any, **settings: Any) -> Any:
        if name == "polars":
            raise ModuleNotFoundError(name=name)
        return original(name, *arguments, **settings)

    folder = copy_of(tmp_path / "copy", "parquet", parquet(*ROWS))
    monkeypatch.setattr(builtins, "__import__", without_polars)
    expected = "this command needs the extra `usage` (pip install 'jobyard[usage]'): no module 'polars'\n"
    assert jobyard("usage", "--from", str(folder)) == (1, "", expected)


def test_old_advice_has_its_date(jobyard: Run, tmp_path: Path) -> None:
    folder = copy_of(tmp_path / "copy", "json", as_json(*ROWS))
    written = datetime.now(UTC) - timedelta(days=5)
    os.utime(folder / advice_name("risk", "json"), (written.timestamp(), written.timestamp()))
    title = jobyard("usage", "--from", str(folder))[1].splitlines()[0]
    expected = f"as of {written:%Y-%m-%d}: `platform.metrics` has written no newer advice"
    assert title == f"Usage of team risk in {folder}, {expected}"


NOTHING = (
    "yet; the platform's job `platform.metrics` collects each day, after it has ended, the runs that ended in it\n"
)


def test_nothing_is_collected_yet(metrics: S3Client, usage_in_dev: Run, add_job: AddJob) -> None:
    expected = f"s3://example-metrics/metrics: nothing is collected of team risk {NOTHING}"
    assert usage_in_dev() == (1, "", expected)
    metrics.put_object(Bucket="example-metrics", Key=KEY, Body=b"[]")
    assert usage_in_dev() == (1, "", f"dev: nothing is collected of team risk {NOTHING}")
    add_job("churn")
    assert usage_in_dev("churn") == (1, "", f"dev: nothing is collected of job 'churn' {NOTHING}")


def test_an_unknown_job_is_answered_with_those_of_the_repository_and_those_that_ran(
    metrics: S3Client, usage_in_dev: Run, add_job: AddJob
) -> None:
    add_job("churn")
    metrics.put_object(Bucket="example-metrics", Key=KEY, Body=as_json(*ROWS))
    expected = "unknown job 'scor' (did you mean 'score'? available: churn, score, train)\n"
    assert usage_in_dev("scor") == (2, "", expected)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not a team's advice: JSONDecodeError"),
        (b'{"a": 1}', "not a team's advice: TypeError"),
        (b'[{"job": "score"}]', "not a team's advice: KeyError: 'task'"),
        (as_json(row("score", "features", cpu_p95="much")), "not a team's advice: ValueError"),
    ],
)
def test_an_object_with_something_else(metrics: S3Client, usage_in_dev: Run, body: bytes, message: str) -> None:
    metrics.put_object(Bucket="example-metrics", Key=KEY, Body=body)
    code, out, err = usage_in_dev()
    assert (code, out) == (1, "")
    assert err.startswith(f"s3://example-metrics/{KEY}: {message}")


def test_a_file_that_is_not_parquet(jobyard: Run, tmp_path: Path) -> None:
    folder = copy_of(tmp_path / "copy", "parquet", b"PAR2")
    code, out, err = jobyard("usage", "--from", str(folder))
    assert (code, out) == (1, "")
    assert err.startswith(f"{folder}/teams/risk/advice.parquet: not a Parquet file: ")


def test_a_bucket_that_does_not_exist(s3: S3Client, usage_in_dev: Run) -> None:
    code, out, err = usage_in_dev()
    assert (code, out) == (1, "")
    assert err.startswith(f"s3://example-metrics/{KEY}: NoSuchBucket: ")
    assert "(check `metrics.bucket` or `dataBucket` in the environment's file)" in err


def test_a_role_without_the_permission(metrics: S3Client, usage_in_dev: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Denied:
        exceptions = metrics.exceptions

        def get_object(self, **_request: str) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "GetObject")

    monkeypatch.setattr(clients, "s3", lambda *_arguments: Denied())
    code, out, err = usage_in_dev()
    assert (code, out) == (1, "")
    assert err == (
        f"s3://example-metrics/{KEY}: AccessDenied: Access Denied (the role needs s3:GetObject on it, and "
        "s3:ListBucket on the bucket for this prefix, without which S3 does not say that nothing is collected yet)\n"
    )


def test_an_environment_without_metrics(jobyard: Run, platform: Path) -> None:
    code, out, err = jobyard("usage", "--environment", "prod", "--platform", str(platform))
    assert (code, out) == (1, "")
    assert err == (
        "values/environments/prod.yaml has no `metrics`, so the platform collects nothing there; its engineers add it "
        "(docs/values.md)\n"
    )


def test_a_team_that_is_not_in_the_environment(jobyard: Run, platform: Path) -> None:
    file = platform / "values" / "teams" / "risk.yaml"
    file.write_text(file.read_text().replace("environments: [dev, prod]", "environments: [prod]"))
    (platform / "values" / "overrides" / "dev" / "risk.yaml").unlink()
    code, out, err = jobyard("usage", "--environment", "dev", "--platform", str(platform))
    assert (code, out) == (2, "")
    assert err.startswith("team risk is not in environment dev: add it under `environments` of values/teams/risk.yaml")


def test_the_address_is_in_the_environments_file() -> None:
    found = metrics_address("dev", {"metrics": {"prefix": "a/b"}, "dataBucket": "data", "region": "eu-central-1"})
    assert (found.bucket, found.key("x"), found.region) == ("data", "a/b/x", "eu-central-1")
    assert metrics_address("dev", {"metrics": {"bucket": "own"}, "dataBucket": "data"}).bucket == "own"
    with pytest.raises(NoMetricsError, match="dev.yaml must name a bucket for the metrics: write `metrics.bucket` or"):
        metrics_address("dev", {"metrics": {}})


@pytest.mark.parametrize(
    ("size", "canonical", "short"),
    [
        (1, "1Mi", "1Mi"),
        (900 * 2**20, "900Mi", "900Mi"),
        (GIB, "1Gi", "1Gi"),
        (3_328_599_654, "3175Mi", "3.1Gi"),
        (4 * GIB - 1, "4Gi", "4Gi"),
        (5 * GIB + 2**20, "5121Mi", "5Gi"),
    ],
)
def test_measured_sizes(size: int, canonical: str, short: str) -> None:
    assert (quantities.memory(size), quantities.short_memory(size)) == (canonical, short)


@pytest.mark.parametrize(
    ("cores", "text"), [(4.0, "4"), (0.1 + 0.2, "300m"), (1.4501, "1451m"), (0.00001, "1m"), (0.0, "0")]
)
def test_measured_cores(cores: float, text: str) -> None:
    assert quantities.cpu(cores) == text


@pytest.mark.parametrize(
    ("nanodollars", "text"),
    [(41_200_000_000, "$41.20"), (-3_100_000_000, "-$3.10"), (1, "$0.00"), (10**13, "$10,000.00")],
)
def test_money(nanodollars: int, text: str) -> None:
    assert quantities.dollars(nanodollars) == text
