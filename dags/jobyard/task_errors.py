"""Airflow's exceptions from which the library's inherit.

The command line renders templates and judges outputs with the library's own modules, and has no Airflow: there, two
exceptions of the same names stand for them.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

# Of a mere folder with that name on the path, there is no file.
_AIRFLOW = find_spec("airflow")
if TYPE_CHECKING or (_AIRFLOW is not None and _AIRFLOW.origin is not None):
    from jobyard.compat import AirflowException, AirflowFailException
else:

    class AirflowException(Exception):  # noqa: N818
        """What a task raises that has failed."""

    class AirflowFailException(AirflowException):
        """What a task raises that would fail again."""


__all__ = ["AirflowException", "AirflowFailException"]
