"""What moved between Airflow 2 and Airflow 3; every other module imports it from here.

A type checker sees Airflow 3 alone.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

AIRFLOW_3 = find_spec("airflow.sdk") is not None

if TYPE_CHECKING or AIRFLOW_3:
    from airflow.sdk import (
        DAG,
        Asset,
        BaseHook,
        BaseOperator,
        Context,
        CronDataIntervalTimetable,
        Param,
        TaskGroup,
        Variable,
        get_parsing_context,
    )
    from airflow.sdk.definitions.mappedoperator import MappedOperator
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
        TaskDeferred,
    )
else:
    from airflow.datasets import Dataset
    from airflow.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
        TaskDeferred,
    )
    from airflow.hooks.base import BaseHook
    from airflow.models import DAG, BaseOperator, Param, Variable
    from airflow.models.mappedoperator import MappedOperator
    from airflow.models.xcom_arg import PlainXComArg
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.utils.context import Context
    from airflow.utils.dag_parsing_context import get_parsing_context
    from airflow.utils.task_group import TaskGroup

    def Asset(*, uri: str, name: str = "") -> Dataset:
        """Return what Airflow 2 calls a dataset, which has no name besides its URI."""
        return Dataset(uri)


# Airflow 2 takes a flag and doubles; Airflow 3 takes the multiplier itself, and reads True as 1: no growth.
EXPONENTIAL_BACKOFF: float = 2.0 if AIRFLOW_3 else True
CONSTANT_BACKOFF: float = 0.0 if AIRFLOW_3 else False


def store_rendered_fields(task_instance: Any, task: Any) -> None:
    """Store the template fields as they are after the task has run, as Airflow 3 does by itself.

    Nothing is rendered again. Airflow 2's worker writes to the same table of Airflow's database before the task runs.
    """
    if AIRFLOW_3:
        return
    from airflow.models.renderedtifields import RenderedTaskInstanceFields, get_serialized_template_fields

    fields = get_serialized_template_fields(task)
    RenderedTaskInstanceFields(ti=task_instance, render_templates=False, rendered_fields=fields).write()


__all__ = [
    "AIRFLOW_3",
    "CONSTANT_BACKOFF",
    "DAG",
    "Asset",
    "EXPONENTIAL_BACKOFF",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "BaseHook",
    "BaseOperator",
    "Context",
    "CronDataIntervalTimetable",
    "MappedOperator",
    "Param",
    "PlainXComArg",
    "TaskDeferred",
    "TaskGroup",
    "Variable",
    "get_parsing_context",
    "store_rendered_fields",
]
