"""What a job's templates cannot reach: a release is a team's own, and what renders it is everybody's."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from jobyard.compat import AIRFLOW_3, AirflowException
from jobyard.operator import JobPodOperator
from support import NO_RETRIES, Bucket, job, states, task, within_a_run

pytestmark = pytest.mark.usefixtures("database")
URL = "registry.example.com/risk/inference@sha256:0123"
SECRET = "open-sesame"
FORMAT = "'{0.__init__.__globals__}'.format"
ATTACKS = [
    "{{ conn.get('care') }}",
    "{{ conn.care.password }}",
    "{{ var.value.care_key }}",
    "{{ var.value.get('care_key', 'x') }}",
    "{{ var.json.care_object.key }}",
    "{{ var.value._care }}",
    "{{ var.value.__class__ }}",
    "{{ var.value.get.__globals__ }}",
    "{{ var.value.get.__closure__ }}",
    "{{ macros.uuid.os.popen('touch TOUCHED').read() }}",
    "{{ macros.json.codecs.open('SECRET_FILE').read() }}",
    "{{ macros.json.dumps.__globals__ }}",
    "{{ macros.ds_add.__globals__ }}",
    "{{ macros.datetime.__subclasses__() }}",
    "{{ macros.datetime.mro() }}",
    "{{ macros.random() }}",
    "{{ macros.time.sleep }}",
    "{{ ti.xcom_pull(dag_id='care.x', task_ids='y') }}",
    "{{ ti.task }}",
    "{{ task_instance.xcom_pull(task_ids='x') }}",
    "{{ task.dag }}",
    "{{ dag.folder }}",
    "{{ dag_run.get_dag() }}",
    "{{ dag_run.dag }}",
    "{{ context }}",
    "{{ conf.get('core', 'fernet_key') }}",
    "{{ inlet_events }}",
    "{{ expanded_ti_count }}",
    "{{ triggering_asset_events }}",
    "{{ outputs._x }}",
    "{{ outputs.__class__ }}",
    "{{ outputs['nowhere'] }}",
    "{% include 'jobyard/kubeconfig.yaml' %}",
    "{% import 'jobyard/kubeconfig.yaml' as x %}{{ x }}",
    "{% extends 'jobyard/kubeconfig.yaml' %}",
    "{% from 'care/jobs.json' import x %}",
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('__cla' ~ 'ss__') }}",
    "{{ ['']|map(attribute='__class__')|first }}",
    "{{ (['']|groupby('__class__')|first).grouper }}",
    "{{ ()|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ (().__class__.__base__).__subclasses__() }}",
    "{{ jobyard_image.__call__.__globals__ }}",
    "{{ jobyard_image.__init__ }}",
    "{{ jobyard_bounds.__globals__ }}",
    "{{ params._ParamsDict__dict }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__ }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__ }}",
    "{{ range.__self__ }}",
    "{{ dict.__base__ }}",
    "{{ self._TemplateReference__context.environment.from_string('x') }}",
    "{{ self.__init__ }}",
    "{% macro m() %}{% endmacro %}{{ m._environment.overlay }}",
    "{% macro m() %}{% endmacro %}{{ m|attr('_environment') }}",
    "{% macro m() %}{% endmacro %}{{ m['_func'] }}",
    "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% block b %}{{ self.b._context }}{% endblock %}",
    "{% for x in [1] recursive %}{{ loop.__init__ }}{% endfor %}",
    "{{ (range(3)|map('string')).gi_frame }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ ('{0.__class__}'|attr('format'))(1) }}",
    "{{ ('{0._environment}'|attr('format'))(m) }}{% macro m() %}{% endmacro %}",
    "{{ ('{0.__class__}'|e).format(1) }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ '{0.__class__}'['format'](1) }}",
    f"{{{{ macros.json.dumps(jobyard_image, default={FORMAT}) }}}}",
    f"{{{{ macros.json.loads('1.5', parse_float={FORMAT}) }}}}",
    f"{{% set x = [jobyard_image] %}}{{{{ x.sort(key={FORMAT}) }}}}",
    "{{ macros.json.loads('1', cls=cycler) }}",
    "{{ undefined_name }}",
    "{% do macros.uuid.os.getcwd() %}",
    "{{ get_current_context() }}",
    "{{ data_interval_start.__class__ }}",
    "{{ data_interval_start._fold }}",
]


@pytest.fixture
def secrets(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hostile release is after."""
    for name in ("CONN_CARE", "CONN_X"):
        monkeypatch.setenv(f"AIRFLOW_{name}", f"http://user:{SECRET}@localhost")
    monkeypatch.setenv("AIRFLOW_VAR_CARE_KEY", SECRET)
    monkeypatch.setenv("AIRFLOW_VAR_CARE_OBJECT", json.dumps({"key": SECRET}))
    monkeypatch.setenv("JOBYARD_TEST", SECRET)
    bucket.write("care/jobs.json", {"x": SECRET})


@pytest.mark.usefixtures("secrets")
def test_no_template_gets_out(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    touched, got = tmp_path / "touched", {}

    def attack(operator: JobPodOperator, context: Any) -> None:
        for text in ATTACKS:
            template = text.replace("TOUCHED", str(touched)).replace("SECRET_FILE", "/etc/hostname")
            try:
                got[text] = operator.render_template(template, context)
            except Exception:
                continue

    within_a_run(bucket, monkeypatch, attack, tasks={"score": task(image=URL, args=[])})
    assert got == {}
    assert not touched.exists()


@pytest.mark.parametrize(
    "place",
    [
        {"args": ["TEMPLATE"]},
        {"command": ["TEMPLATE"]},
        {"env": {"KEY": "TEMPLATE"}},
        {"env": {"TEMPLATE": "x"}},
        {"image": "registry.example.com/TEMPLATE"},
        {"resources": {"requests": {"cpu": "TEMPLATE"}, "limits": {}}},
        {"type": "wait-for-s3-key", "arguments": {"bucket_key": "TEMPLATE"}},
        {"type": "wait-for-s3-key", "arguments": {"bucket_key": ["s3://x/y", "TEMPLATE"]}},
    ],
)
@pytest.mark.usefixtures("secrets")
def test_the_bounds_hold_wherever_a_template_can_be(
    bucket: Bucket, cluster: FakeCluster, tmp_path: Path, place: dict[str, Any]
) -> None:
    touched = tmp_path / "touched"
    # Neither quotes nor blanks: they would not survive where Airflow 2 stores a field as a text of Python.
    text = json.dumps(place).replace("TEMPLATE", "{{macros.uuid.os.mkdir(params.path)}}")
    params = {"path": str(touched)}
    entry = task(**{"image": URL, "args": [], "retries": NO_RETRIES, **json.loads(text)})
    cluster.states = [ended(0)]
    assert states(bucket, params=params, tasks={"score": entry})["score"] == "failed"
    assert (cluster.created, touched.exists()) == ([], False)
    if not AIRFLOW_3:
        look_at_its_page(bucket, entry, params)
        assert not touched.exists()


def look_at_its_page(bucket: Bucket, entry: dict[str, Any], params: dict[str, str]) -> None:
    """Have the page of a task that has not run fail to show its templates rendered.

    Airflow 2's webserver renders them itself, from the DAG as it is stored, in which some fields are one text together.
    """
    from airflow.serialization.serialized_objects import SerializedDAG

    first = task(image=URL, args=["{{ nothing }}"], retries=NO_RETRIES)
    tasks = {"first": first, "score": {**entry, "needs": ["first"]}}
    dag = bucket.dag(job(params=params, tasks=tasks))
    [instance] = [ti for ti in dag.test().get_task_instances() if ti.task_id == "score"]
    instance.task = SerializedDAG.from_dict(SerializedDAG.to_dict(dag)).get_task("score")
    with pytest.raises(AirflowException, match="Webserver does not have access to User-defined Macros"):
        instance.get_rendered_template_fields()
