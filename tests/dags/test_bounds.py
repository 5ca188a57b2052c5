"""What a job's templates cannot reach: a release is a team's own, and what renders it is everybody's."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from jinja2 import Environment, nodes
from jobyard.compat import AIRFLOW_3, AirflowException
from jobyard.operator import JobPodOperator
from jobyard.template_guard import RENDER, guarded, unguarded
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
    "{{ jobyard_template.__globals__ }}",
    "{{ jobyard_image._call }}",
    "{{ jobyard_image.variable }}",
    "{{ var.value.read('care_key') }}",
    "{{ outputs.read('x') }}",
    "{{ macros.ds_add._call }}",
    "{{ ds.__len__ }}",
    "{{ ''.encode() }}",
    "{{ ''.translate({}) }}",
    "{{ [].append(1) }}",
    "{{ {}.update({}) }}",
    "{{ {}.pop('x', 1) }}",
    "{{ (1).real }}",
    "{{ (1.5).hex() }}",
    "{{ macros.datetime.max }}",
    "{{ data_interval_start.tz }}",
    "{{ data_interval_start.tzinfo }}",
    "{{ data_interval_start.timezone }}",
    "{{ data_interval_start.dst() }}",
    "{{ data_interval_start.diff() }}",
    "{{ loop }}",
    "{% for x in [1] %}{{ loop }}{% endfor %}",
    "{% for x in [1] %}{{ loop.cycle.__globals__ }}{% endfor %}",
    "{{ namespace(a=1)._Namespace__attrs }}",
    "{{ namespace(a=1).__class__ }}",
    "{{ namespace }}",
    "{{ range }}",
    "{{ macros }}",
    "{{ var }}",
    "{{ outputs }}",
    "{{ ti }}",
    "{{ dag_run }}",
    "{{ [macros.ds_add] }}",
    "{{ ''.join }}",
    "{{ [jobyard_image] | first }}",
    "{{ ['x'] | map(jobyard_image) | list }}",
    "{{ [1] | map('attr', '__class__') | list }}",
    "{{ [1] | selectattr('__class__') | list }}",
    "{{ [1, 2] | sort(attribute='__class__') }}",
    "{{ ([{'a': 1}] | groupby('a') | first).__class__ }}",
    "{{ ([{'a': 1}] | groupby('a') | first)._asdict() }}",
    "{{ ds | tojson | attr('__html__') }}",
    "{{ (ds | tojson).__html__() }}",
    "{{ (ds | e).unescape() }}",
    "{{ 'x' | safe }}",
    "{{ undefined_name | default(macros) }}",
    "{{ undefined_name._undefined_exception }}",
    "{{ undefined_name._fail_with_undefined_error }}",
    "{{ params.x._undefined_obj }}",
    "{{ data_interval_start.format('YYYY', locale='en') }}",
    "{{ data_interval_start.in_timezone('../../etc/hostname') }}",
    "{{ (macros.uuid.uuid4()).int }}",
    "{{ (macros.timedelta(days=1)).__reduce__() }}",
    "{{ macros.json.dumps.__self__ }}",
    "{{ params.keys().mapping }}",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}{{ ns }}",
    "{% trans %}x{% endtrans %}",
    "{% debug %}",
    "{% autoescape true %}{{ ds }}{% endautoescape %}",
    "{% call jobyard_image('x') %}{% endcall %}",
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


OF_EVERY_TASK = ("needs", "retries", "timeout", "trigger_rule")


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
            # As it is in a release, and as it would be if a field had not been guarded.
            for written in (guarded(template), template):
                try:
                    got[text] = operator.render_template(written, context)
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
    entry = {**_base(place), "retries": NO_RETRIES, **json.loads(text)}
    cluster.states = [ended(0)]
    assert states(bucket, params=params, tasks={"score": entry})["score"] == "failed"
    assert (cluster.created, touched.exists()) == ([], False)
    if not AIRFLOW_3:
        look_at_its_page(bucket, entry, params)
        assert not touched.exists()


def _base(place: dict[str, Any]) -> dict[str, Any]:
    """Return a task for the place; one with a type has nothing of a pod."""
    pod = task(image=URL, args=[])
    return {name: pod[name] for name in OF_EVERY_TASK} if "type" in place else pod


@pytest.mark.parametrize(
    "place",
    [
        {"env": {"TEMPLATE": "x"}},
        {"image": "registry.example.com/TEMPLATE"},
        {"resources": {"requests": {"cpu": "TEMPLATE"}, "limits": {}}},
    ],
)
@pytest.mark.usefixtures("secrets")
def test_a_template_where_none_belongs_makes_a_broken_job(
    bucket: Bucket, tmp_path: Path, place: dict[str, Any]
) -> None:
    touched = tmp_path / "touched"
    text = json.dumps(place).replace("TEMPLATE", "{{macros.uuid.os.mkdir(params.path)}}")
    entry = task(**{"image": URL, "args": [], "retries": NO_RETRIES, **json.loads(text)})
    assert states(bucket, params={"path": str(touched)}, tasks={"score": entry}) == {"broken": "failed"}
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


TEXTS = [
    "{{ ds }}",
    "it's {{ 'a' }} \"b\" \\ \\' {# x #} {% raw %}{{ }}{% endraw %}",
    "\n{{ ds }}\r\n\t\x00\x7f\xa0\u2028\u00e9\U0001f600",
    "{{ jobyard_template('x') }}",
    "\\u007b{",
    "{",
    "{'}}) }}{{ 'a' * 3 }}",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("shown", [str, repr, lambda text: repr([{"name": "x", "value": text}])])
def test_to_jinja_a_guarded_text_is_one_call_wherever_it_stands(text: str, shown: Any) -> None:
    # Airflow 2's webserver compiles it too, some fields as one text of Python, and Jinja computes constants on the way.
    tree = Environment().parse(shown(guarded(text)))
    calls = [node for node in tree.find_all(nodes.Expr) if not isinstance(node, nodes.TemplateData)]
    assert [type(node).__name__ for node in calls] == ["Call", "Name", "Const"]
    [name] = tree.find_all(nodes.Name)
    assert name.name == RENDER
    assert unguarded(guarded(text)) == text


def test_a_guarded_text_reads_as_it_was_written(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    got: dict[str, str] = {}

    def act(operator: JobPodOperator, context: Any) -> None:
        got.update({text: operator.render_template(guarded(text), context) for text in TEXTS[:2]})

    within_a_run(bucket, monkeypatch, act, tasks={"score": task(image=URL, args=[])})
    assert got[TEXTS[1]] == "it's a \"b\" \\ \\'  {{ }}"
