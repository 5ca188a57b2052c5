"""What `jobyard sync` is given: images, an environment; and what it does with Airflow's Variable."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.mwaa import MwaaTransport
from jobyard_cli.airflow.transport import (
    AirflowBusyError,
    AirflowError,
    AirflowNotFoundError,
    AirflowPermissionError,
    RestTransport,
)
from jobyard_cli.aws.errors import StoreError
from jobyard_cli.check import job as job_module
from jobyard_cli.check import limits as limits_module
from jobyard_cli.images.addresses_file import ImagesFileError, read_images
from jobyard_cli.platform.environments import Environment
from jobyard_cli.release import compile as compile_module
from jobyard_cli.release import entry as entry_module
from jobyard_cli.release.compile import compile_release
from jobyard_cli.release.object import ReleaseObject
from jobyard_cli.release.releases import OlderReleaseError, publish, releases, roll_back
from jobyard_cli.sync.run import sync
from jobyard_cli.sync.target import Given, MissingTargetError, Target, find_target
from jobyard_cli.sync.variables import Parameter, converge

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddJob = Callable[..., Path]
BUCKET = "airflow"
FIRST, SECOND = "1" * 40, "2" * 40
DIGITS = "a" * 64
BY_DIGEST = "must be an address by digest, <registry>/<image>@sha256:<64 hexadecimal digits>"
PROD = Environment("prod", {"bucket": BUCKET, "airflow": "jobyard-prod", "region": "eu-central-1"}, {"risk": {}})


def url(number: int) -> str:
    return f"registry.example.com/risk/inference@sha256:{number:064x}"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[]", ['must be an object: {"<image>": "<registry>/<image>@sha256:<64 hexadecimal digits>"}']),
        ("{", ["is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"]),
        (
            f'{{"a b": "r/x@sha256:{DIGITS}", "y": "r/y:latest", "z": ["\\n"], "y": "r/y@sha256:{DIGITS}"}}',
            [
                "'a b': an image's name must consist of letters, digits, '.', '_' and '-'",
                f"'y': {BY_DIGEST}; got 'r/y:latest'",
                f"'z': {BY_DIGEST}; got '[\"\\n\"]'",
                "'y': appears twice",
            ],
        ),
    ],
)
def test_a_file_of_images_that_is_wrong_is_told_with_every_problem(
    tmp_path: Path, text: str, problems: list[str]
) -> None:
    file = tmp_path / "images.json"
    file.write_text(text)
    with pytest.raises(ImagesFileError) as caught:
        read_images(file)
    assert str(caught.value).splitlines() == [f"{file}: {problem}" for problem in problems]


def test_a_file_of_images_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImagesFileError, match="images.json: can't be read: "):
        read_images(tmp_path / "images.json")


def test_images_are_name_to_address(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"inference": url(1)}))
    assert read_images(file) == {"inference": url(1)}


class Memory:
    """A Variable that is kept here; `meanwhile` happens as it is about to be written."""

    address = "the Variable"

    def __init__(self, value: str | None = None, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.value = value
        self.written: list[str] = []
        self._meanwhile = meanwhile

    def get(self) -> str | None:
        return self.value

    def set(self, value: str) -> None:
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        self.value = value
        self.written.append(value)


@pytest.fixture
def released(s3: S3Client, add_job: AddJob, team_repo: Path) -> Callable[[str, int], str]:
    """Put a release with an image of a number; its ETag."""
    add_job("score")

    def put(commit: str, number: int) -> str:
        return publish(s3, BUCKET, compile_release(team_repo, commit, {"inference": url(number)})).etag

    return put


def test_the_images_of_a_release_are_merged_with_those_that_are_there(
    s3: S3Client, released: Callable[[str, int], str]
) -> None:
    variable = Memory(json.dumps({"other": "x", "inference": url(0)}))
    place = ReleaseObject(s3, BUCKET, "risk")
    etag = released(FIRST, 1)
    assert converge(variable, place, etag, {"inference": url(1)})
    assert json.loads(variable.value or "") == {"other": "x", "inference": url(1)}
    assert not converge(variable, place, etag, {"inference": url(1)})
    assert len(variable.written) == 1


@pytest.mark.parametrize("there", [None, "no JSON", "[]"])
def test_what_is_no_object_is_replaced(s3: S3Client, released: Callable[[str, int], str], there: str | None) -> None:
    variable = Memory(there)
    assert converge(variable, ReleaseObject(s3, BUCKET, "risk"), released(FIRST, 1), {"inference": url(1)})
    assert json.loads(variable.value or "") == {"inference": url(1)}


def test_whoever_comes_late_gives_the_variable_the_newest_releases_images(
    s3: S3Client, released: Callable[[str, int], str]
) -> None:
    etag = released(FIRST, 1)
    variable = Memory(meanwhile=lambda: released(SECOND, 2))
    assert converge(variable, ReleaseObject(s3, BUCKET, "risk"), etag, {"inference": url(1)})
    assert [json.loads(value)["inference"] for value in variable.written] == [url(1), url(2)]


def test_an_older_pipeline_makes_sure_of_the_newest_releases_images(
    s3: S3Client, released: Callable[[str, int], str], team_repo: Path
) -> None:
    released(SECOND, 2)
    variable = Memory(json.dumps({"inference": url(1)}))
    older = compile_release(team_repo, FIRST, {"inference": url(1)})
    with pytest.raises(OlderReleaseError):
        sync(Target("risk", BUCKET, s3, None, variable), older, "", lambda theirs, _: theirs == SECOND, 0, print)
    assert json.loads(variable.value or "") == {"inference": url(2)}


def test_a_release_without_images_writes_no_variable(s3: S3Client, add_job: AddJob, team_repo: Path) -> None:
    add_job("score")
    variable = Memory()
    target = Target("risk", BUCKET, s3, None, variable)
    sync(target, compile_release(team_repo, FIRST), "", lambda *_: False, 0, print)
    assert variable.written == []


def test_a_sync_checks_and_compiles_each_job_once_and_writes_and_reads_its_release_once_at_most(
    s3: S3Client, add_job: AddJob, team_repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("score", "train"):
        add_job(name, f"apiVersion: jobyard/v1\nschedule: null\ntasks: {{{name}: {{image: inference}}}}\n")
    done: Counter[str] = Counter()

    def counted(owner: Any, name: str, is_whole: Callable[..., bool] = lambda *_: True) -> None:
        original = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            answer = original(*arguments, **options)
            done[name] += is_whole(answer, *arguments)
            return answer

        monkeypatch.setattr(owner, name, call)

    counted(json, "dumps", lambda text, *_: "{score: {" in text and "{train: {" in text)
    counted(json, "loads", lambda _, text, *__: "{score: {" in str(text) and "{train: {" in str(text))
    counted(compile_module, "check_repo")
    counted(limits_module, "check_job")
    counted(job_module, "check_job")
    counted(entry_module, "_resources")

    sync(Target("risk", BUCKET, s3, None, Memory()), compile_release(team_repo, FIRST), "", lambda *_: False, 0, print)

    # Two jobs, each with one task; the check has a `check_job` of its own, and the library another.
    assert done == {"check_repo": 1, "check_job": 4, "_resources": 2, "dumps": 1, "loads": 0}
    assert "{score: {" in s3.get_object(Bucket=BUCKET, Key="dags/risk/jobs.json")["Body"].read().decode()


def test_the_variable_can_be_in_the_parameter_store(s3: S3Client) -> None:
    client = boto3.client("ssm", region_name="us-east-1")
    parameter = Parameter(client, "/airflow/variables/jobyard_images_risk")
    assert parameter.get() is None
    parameter.set("one")
    parameter.set("two")
    assert parameter.get() == "two"
    told = client.describe_parameters()["Parameters"][0]
    assert (told["Name"], told["Type"]) == ("/airflow/variables/jobyard_images_risk", "String")


class Counting:
    """A client that counts what it is asked."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._client, name)

        def counted(**arguments: Any) -> Any:
            self.asked.append(name)
            return asked(**arguments)

        return counted


def test_few_requests_are_enough(s3: S3Client, add_job: AddJob, team_repo: Path) -> None:
    add_job("score")

    def asked(commit: str) -> list[str]:
        client: Any = Counting(s3)
        publish(client, BUCKET, compile_release(team_repo, commit), compare=True)
        return list(client.asked)

    assert asked(FIRST) == ["head_object", "put_object"]
    assert asked(FIRST) == ["head_object"]
    assert asked(SECOND) == ["head_object", "put_object"]
    add_job("train")
    assert asked(SECOND) == ["head_object", "get_object", "put_object"]


def test_who_may_list_the_releases_key_alone_publishes_a_first_one(
    s3: S3Client, add_job: AddJob, team_repo: Path
) -> None:
    """S3 answers 403 to a HEAD of what is missing where a list of the whole bucket would be refused."""
    add_job("score")

    def refused(**_: Any) -> Any:
        answer = AWSResponse("", 403, HTTPHeaders(), None)
        return answer, {"Error": {"Code": "403", "Message": "Forbidden"}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    s3.meta.events.register("before-call.s3.HeadObject", refused)
    assert publish(s3, BUCKET, compile_release(team_repo, FIRST)).changed
    with pytest.raises(StoreError, match="403"):
        publish(s3, BUCKET, compile_release(team_repo, SECOND))


def test_going_back_to_what_is_there_already_puts_nothing(s3: S3Client, released: Callable[[str, int], str]) -> None:
    released(FIRST, 1)
    released(SECOND, 2)
    assert roll_back(s3, BUCKET, "risk", FIRST).published.changed
    again = roll_back(s3, BUCKET, "risk", FIRST[:7])
    assert (again.published.changed, again.content["commit"]) == (False, FIRST)
    assert len(releases(s3, BUCKET, "risk")) == 3


def test_an_environment_says_all_that_is_to_be_reached(s3: S3Client) -> None:
    target = find_target("risk", PROD, Given())
    assert (target.bucket, target.s3.meta.region_name) == (BUCKET, "eu-central-1")
    assert target.airflow is not None
    assert target.airflow.address == "MWAA's jobyard-prod"
    assert target.variable is not None
    assert target.variable.address == "Airflow's Variable jobyard_images_risk"


def test_a_team_that_the_platform_did_not_know_yet_is_not_refused(s3: S3Client) -> None:
    """Its repository was made from a commit before its file was merged."""
    assert find_target("new", PROD, Given()).team == "new"


def test_the_parameter_store_needs_no_airflow(s3: S3Client) -> None:
    environment = Environment("prod", {**PROD.values, "variablesPrefix": "/airflow/variables"}, PROD.teams)
    target = find_target("risk", environment, Given(wait=False))
    assert target.airflow is None
    assert target.variable is not None
    assert target.variable.address == "the parameter /airflow/variables/jobyard_images_risk"


@pytest.mark.parametrize(
    ("environment", "problems"),
    [
        (
            None,
            ["give --environment or --bucket", "the address of Airflow is not known: give --airflow-url, or --no-wait"],
        ),
        (
            Environment("dev", {}, {"care": {}}, frozenset({"risk"})),
            [
                "team risk is not in environment dev: add it under `environments` of values/teams/risk.yaml in the "
                "platform's repository",
                "values/environments/dev.yaml must name a bucket: write `bucket`, or give --bucket",
                "values/environments/dev.yaml must name an Airflow: write `airflow` or `airflowUrl`, or give "
                "--airflow-url, or --no-wait",
            ],
        ),
    ],
)
def test_everything_that_lacks_is_told_at_once(environment: Environment | None, problems: list[str]) -> None:
    with pytest.raises(MissingTargetError) as caught:
        find_target("risk", environment, Given())
    assert str(caught.value).splitlines() == problems


class Refusing:
    """A stand-in for boto3's client of MWAA that refuses."""

    def __init__(self, **response: Any) -> None:
        self._response = response

    def invoke_rest_api(self, **_: Any) -> Any:
        from botocore.exceptions import ClientError

        response: Any = self._response
        raise ClientError(response, "InvokeRestApi")


@pytest.mark.parametrize(
    ("response", "kind", "message"),
    [
        (
            {"RestApiStatusCode": 404, "RestApiResponse": {"detail": "no"}},
            AirflowNotFoundError,
            r"refused GET dags \(404\): ",
        ),
        ({"RestApiStatusCode": 503, "RestApiResponse": "away"}, AirflowBusyError, r"refused GET dags \(503\): away"),
        (
            {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}},
            AirflowPermissionError,
            r"MWAA's prod: GET dags: AccessDeniedException: not authorized \(the role needs airflow:InvokeRestApi",
        ),
        ({"Error": {"Code": "InternalServerException", "Message": ""}}, AirflowBusyError, "InternalServerException"),
        (
            {"Error": {"Code": "ResourceNotFoundException", "Message": ""}},
            AirflowError,
            "check `airflow` and `region`",
        ),
    ],
)
def test_what_mwaa_refuses_is_told_in_airflows_or_awss_words(
    response: dict[str, Any], kind: type[AirflowError], message: str
) -> None:
    transport = MwaaTransport(Refusing(**{"Error": {"Code": "RestApiClientException"}, **response}), "prod")
    client = AirflowClient(transport, patience=0)
    with pytest.raises(AirflowError, match=message) as caught:
        client.dag_ids()
    assert type(caught.value) is kind


def test_an_airflow_that_is_not_there_is_told_before_anything_is_put(
    s3: S3Client, add_job: AddJob, team_repo: Path
) -> None:
    add_job("score")
    target = Target("risk", BUCKET, s3, AirflowClient(RestTransport("http://127.0.0.1:1"), patience=2))
    with pytest.raises(AirflowBusyError, match="Airflow at http://127.0.0.1:1 can't be reached"):
        sync(target, compile_release(team_repo, FIRST), "", lambda *_: False, 0, print)
    assert releases(s3, BUCKET, "risk") == []


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        (["abc"], 2, "commit 'abc' needs --rollback"),
        (["--rollback", "--images=x"], 2, "--images and --rollback exclude each other: an earlier release has its own"),
        (["--images=nowhere.json"], 1, "nowhere.json: can't be read"),
        ([], 2, "give --environment or --bucket"),
        (["--environment=prod"], 1, ".cruft.json is missing"),
    ],
)
def test_a_mistake_in_the_options_is_told(
    add_job: AddJob, jobyard: Callable[..., tuple[int, str, str]], arguments: list[str], expected: int, message: str
) -> None:
    add_job("score")
    code, out, err = jobyard("sync", *arguments)
    assert (code, out) == (expected, "")
    assert message in err


def test_an_environments_own_bucket_goes_before_the_pipelines(
    s3: S3Client, add_job: AddJob, jobyard: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job("score")
    root = Path(__file__).resolve().parents[2]
    text = (root / "values" / "environments" / "dev.yaml").read_text()
    bucket = re.search("bucket: (.*)", text)
    assert bucket is not None
    s3.create_bucket(Bucket=bucket[1], CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=bucket[1], VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setenv("JOBYARD_BUCKET", "data")
    where = ["--environment", "dev", "--platform", str(root)]
    code, out, err = jobyard("sync", "--no-wait", "--by", "ann", *where)
    assert (code, out, err) == (0, f"s3://{bucket[1]}/dags/risk/jobs.json: released\n", "")
    assert jobyard("releases", *where)[1].endswith("   1 jobs  ann\n")
    assert releases(s3, "data", "risk") == []


def test_images_that_airflow_is_not_told_are_mentioned(
    s3: S3Client, add_job: AddJob, team_repo: Path, jobyard: Callable[..., tuple[int, str, str]]
) -> None:
    add_job("score")
    (team_repo / "images.json").write_text(json.dumps({"inference": url(1)}))
    code, out, _ = jobyard("sync", "--no-wait", "--bucket", BUCKET, "--images", "images.json")
    assert code == 0
    assert out.splitlines()[1] == "Airflow does not have the release's images yet, as --no-wait does not call its API"
