"""What one rendering may take: each template here is rendered by Airflow's own code, in a process that is measured."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from jobyard.errors import TemplateError
from jobyard.template_budget import Budget
from jobyard.template_environment import BoundEnvironment
from jobyard.template_guard import guarded
from jobyard.template_rules import SECONDS, STEPS, TemplateRefusedError
from support import Bucket, context, job, task
from template_attacks import ATTACKS, TOGETHER

# A second where nothing else runs. Beside other work the same takes up to twice as long, processor time included.
CPU_SECONDS = 3.0
MEGABYTES = 100
# What ends an attack that nothing else ends; far beyond what any may take.
KILLED_AFTER = 20
BIG = ["x" * 900] * 60


@dataclass
class Used:
    """What a process has used, beyond one that does nothing."""

    seconds: float
    megabytes: float
    ended: bool


def measured(act: Callable[[], object]) -> tuple[float, float, bool]:
    """Return CPU seconds, megabytes and whether it ended by itself, of a process of its own that does that."""
    pid = os.fork()
    if pid == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (KILLED_AFTER, KILLED_AFTER))
            act()
        except BaseException:
            pass
        finally:
            os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, not os.WIFSIGNALED(status)


def used(act: Callable[[], object], base: tuple[float, float, bool] | None = None) -> Used:
    """Return what doing that takes, beyond a process that does nothing."""
    base = base or measured(lambda: None)
    own = measured(act)
    return Used(own[0] - base[0], own[1] - base[1], own[2])


@pytest.fixture
def render(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Render texts as Airflow renders the fields of one task."""
    monkeypatch.setattr("jobyard.templates.pull_output", lambda context, task: BIG)
    dag = bucket.dag(job(tasks={"score": task(image="example.com/image@sha256:0123", args=[])}))
    operator: Any = dag.get_task("score")
    given = context(params={"big": BIG}, task=SimpleNamespace(item=BIG), dag_run=SimpleNamespace(conf={"big": BIG}))

    def together(*texts: str) -> list[str]:
        return list(operator.render_template(guarded(list(texts)), given, operator.get_template_env()))

    yield together


def test_what_is_measured_would_be_seen() -> None:
    def much() -> object:
        return b"x" * (2 * MEGABYTES * 1024 * 1024)

    def long() -> object:
        while resource.getrusage(resource.RUSAGE_SELF).ru_utime < 2 * CPU_SECONDS:
            pass
        return None

    assert used(much).megabytes > MEGABYTES
    assert used(long).seconds > CPU_SECONDS
    assert used(lambda: os.kill(os.getpid(), signal.SIGKILL)).ended is False


def test_no_template_takes_more_than_there_is(render: Callable[..., list[str]]) -> None:
    base = measured(lambda: None)
    taken = {text[:80]: used(lambda text=text: render(text), base) for text in ATTACKS}  # type: ignore[misc]
    beyond = {
        text: one
        for text, one in taken.items()
        if one.seconds > CPU_SECONDS or one.megabytes > MEGABYTES or not one.ended
    }
    assert beyond == {}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("text", TOGETHER, ids=lambda text: text[:40])
def test_nor_do_all_templates_of_a_task_together(render: Callable[..., list[str]], text: str) -> None:
    assert len(render(text)) == 1
    taken = used(lambda: render(*[text] * 3_000))
    assert (taken.seconds <= CPU_SECONDS, taken.megabytes <= MEGABYTES, taken.ended) == (True, True, True), taken
    with pytest.raises(TemplateError, match="the templates of a task must"):
        render(*[text] * 3_000)


def test_a_rendering_that_takes_the_processor_too_long_ends() -> None:
    moments = iter([0.0, 1.0, SECONDS + 1])
    budget = Budget(clock=lambda: next(moments, SECONDS + 2))
    with pytest.raises(TemplateRefusedError, match="must take at most 30 CPU seconds in all"):
        BoundEnvironment(budget).render("{{ a }}", {"a": 1})


def test_what_happens_between_two_renderings_takes_none_of_their_time() -> None:
    now = [0.0]
    environment = BoundEnvironment(Budget(clock=lambda: now[0]))
    for _ in range(3):
        assert environment.render("{{ a }}", {"a": 1}) == "1"
        # As a pod runs before Airflow names the instance of a task with `foreach`.
        now[0] += SECONDS * 2


def test_a_task_has_steps_enough_for_what_people_write() -> None:
    budget = Budget()
    environment = BoundEnvironment(budget)
    text = "{% for name in names if name is not none %}{{ loop.index }}: {{ name | upper | tojson }}\n{% endfor %}"
    assert environment.render(text, {"names": ["a", "b"] * 100}).count("\n") == 200
    assert budget.steps > STEPS / 2
