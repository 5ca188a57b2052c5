"""What a job's templates can name, the same in every version of Airflow."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from jobyard.errors import ImageError, VariableError
from jobyard.operator import JobPodOperator
from jobyard.template_guard import guarded
from jobyard.templates import bound, template_arguments
from support import COMMIT, NO_RETRIES, Bucket, context, job, run_once, states, task, within_a_run

pytestmark = pytest.mark.usefixtures("database")
URL = "registry.example.com/risk/inference@sha256:0123"


GOOD = {
    "{{ ds }} {{ ds_nodash }}": "2026-11-02 20261102",
    "{{ day }}": "2026-11-02",
    "{{ ts }}": "2026-11-02T19:00:00+00:00",
    "{{ ts_nodash }} {{ ts_nodash_with_tz }}": "20261102T190000 20261102T190000+0000",
    "{{ data_interval_start }}": "2026-11-01 19:00:00+00:00",
    "{{ data_interval_end.isoformat() }}": "2026-11-02T19:00:00+00:00",
    "{{ data_interval_start.strftime('%H') }}": "19",
    "{{ data_interval_end | ds }}": "2026-11-02",
    "{{ logical_date.add(days=1).date() }}": "2026-11-03",
    "{{ params.limit }} {{ params['limit'] + 1 }}": "5 6",
    "{{ var.value.jobyard_data_bucket }}": "s3://data",
    "{{ var.value.risk_x }}": "seven",
    "{{ var.value.get('risk_y', 'otherwise') }}": "otherwise",
    "{{ var.value.get('risk_x', 'otherwise') }}": "seven",
    "{{ var.json.risk_z.key }}": "8",
    "{{ var.json.get('risk_none', {}) }}": "{}",
    "{{ macros.ds_add(ds, -1) }}": "2026-11-01",
    "{{ macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%y') }}": "02.11.26",
    "{{ macros.datetime(2026, 1, 31).year }}": "2026",
    "{{ (logical_date + macros.timedelta(days=1)).day }}": "3",
    "{{ macros.json.dumps({'a': [1]}) }}": '{"a": [1]}',
    "{{ macros.json.loads('[1, 2]')[1] }}": "2",
    "{{ macros.uuid.uuid4() | string | length }}": "36",
    "{{ ti.try_number }} {{ ti.map_index }} {{ ti.task_id }} {{ ti.dag_id }}": "1 -1 score risk.score",
    "{{ dag_run.conf }} {{ dag_run.conf.get('x', 0) }}": "{} 0",
    "{{ dag_run.run_id == run_id }} {{ dag_run.run_type }}": "True manual",
    "{{ prev_data_interval_start_success is none }}": "True",
    "{{ prev_start_date_success }}{{ prev_end_date_success }}{{ prev_data_interval_end_success }}": "NoneNoneNone",
    "{{ task_instance_key_str.partition('__')[0] }}": "risk.score",
    "{{ jobyard_commit() }}": COMMIT,
    "{% if ds > '2026' %}{{ '%02d' % 7 }}{% else %}old{% endif %}": "07",
    "{% for name in ['a', 'b'] %}{{ loop.index }}{{ name }}{% endfor %}": "1a2b",
}


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that the team may read."""
    monkeypatch.setenv("AIRFLOW_VAR_JOBYARD_DATA_BUCKET", "s3://data")
    monkeypatch.setenv("AIRFLOW_VAR_RISK_X", "seven")
    monkeypatch.setenv("AIRFLOW_VAR_RISK_Z", '{"key": 8}')


@pytest.mark.usefixtures("readable")
def test_what_a_template_can_name(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.states = [ended(0)]
    entry = job(
        timezone="Asia/Jakarta", params={"limit": {"default": 5}}, tasks={"score": task(image=URL, args=list(GOOD))}
    )
    run_once(bucket.dag(entry), datetime(2026, 11, 2, 19, tzinfo=UTC))
    assert dict(zip(GOOD, cluster.container("score")["args"], strict=True)) == GOOD


def test_an_argument_is_never_the_name_of_a_file(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.states = [ended(0)]
    names = ["a.json", "jobyard/kubeconfig.yaml", "x.yml", "q.sql", "t.j2", "s.sh"]
    assert states(bucket, tasks={"score": task(image=URL, args=names)}) == {"score": "success"}
    assert cluster.container("score")["args"] == names


def variables(team: str) -> Any:
    """Return what the team's templates know as `var.value`."""
    macros = template_arguments(team, UTC, {}, ["jobyard_data_bucket"])["user_defined_macros"]
    return bound(context(), macros)["var"].value


def test_a_variable_that_is_not_the_teams_fails_for_good(bucket: Bucket, cluster: FakeCluster) -> None:
    retries = {**NO_RETRIES, "attempts": 3}
    entry = task(image=URL, args=["{{ var.value.care_key }}"], retries=retries)
    assert states(bucket, tasks={"score": entry}) == {"score": "failed"}
    with pytest.raises(VariableError) as raised:
        _ = variables("risk-eu").care_key
    assert str(raised.value) == (
        "Airflow Variable 'care_key' is not one that team 'risk-eu' may read: risk-eu_*, jobyard_data_bucket"
    )


@pytest.mark.usefixtures("database")
def test_a_team_whose_name_begins_anothers_cannot_read_that_ones_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_RISK-EU_KEY", "secret")
    own, other = variables("risk-eu"), variables("risk")
    assert own.get("risk-eu_key") == "secret"
    with pytest.raises(VariableError):
        other.get("risk-eu_key")


OTHERS = [
    "care_key",
    "jobyard_images_care",
    "jobyard_images_risk",
    "jobyard_other",
    "jobyard_data_bucket_of_care",
    "risk-ml_key",
    "riskcare_key",
    "risk",
    "risk_",
    "RISK_X",
    " risk_x",
    "risk_x ",
    "risk_x\n",
    # Airflow 3 asks its API server at `variables/<name>`, where each of these would be another Variable.
    "risk_/../care_key",
    "risk_x/../care_key",
    "risk_/%2e%2e/care_key",
    "risk_/../../connections/care",
    "risk_x?care_key",
    "risk_x#care_key",
    "../variables/care_key",
]


def test_no_other_teams_variable(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each way that a template has of asking for one, while a task runs, from Airflow's own store."""
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        for name in ("care_key", "jobyard_images_care", "jobyard_other", "risk-ml_key", "risk_mine"):
            session.merge(Variable(key=name, val='{"train": "open sesame"}'))
    ways = [
        "{{ var.value.get(params.name) }}",
        "{{ var.value.get(params.name, 'none') }}",
        "{{ var.json.get(params.name) }}",
        "{{ var.value[params.name] }}",
        "{{ var.json[params.name] }}",
        "{{ var.value|attr(params.name) }}",
        "{{ [params.name]|map('attr')|list }}{{ [var.value]|map(attribute=params.name)|first }}",
    ]
    got: dict[tuple[str, str], str] = {}
    own: list[str] = []
    refused: set[type[Exception]] = set()

    def attack(operator: JobPodOperator, context: Any) -> None:
        own.append(operator.render_template(guarded("{{ var.json.risk_mine.train }}"), context))
        for name in OTHERS:
            for way in ways:
                try:
                    got[way, name] = operator.render_template(guarded(way), {**context, "params": {"name": name}})
                except Exception as error:
                    refused.add(type(error))

    within_a_run(bucket, monkeypatch, attack, tasks={"score": task(image=URL, args=[], retries=NO_RETRIES)})
    assert (own, got) == (["open sesame"], {})
    assert VariableError in refused


@pytest.mark.parametrize("image", ["train", "care_key"])
def test_no_other_teams_images(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_JOBYARD_IMAGES_CARE", '{"train": "open sesame"}')
    monkeypatch.setenv("AIRFLOW_VAR_CARE_KEY", "open sesame")
    operator = bucket.dag(job(tasks={"score": task(image=image)})).get_task("score")
    with pytest.raises((VariableError, ImageError)):
        operator.render_template_fields(context())
    assert "open sesame" not in str(operator.image)
