"""Airflow connections are the teams' own, and one that gives no identity is an error.

For a connection that does not exist, or that names neither a role nor keys, Airflow's AWS hook takes the worker's own
identity, which on MWAA is the execution role of all teams. So a task or an alert first looks whether its connection
says whose rights it gives.
"""

import re
from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any

from jobyard.compat import AirflowNotFoundException, BaseHook, BaseOperator, Context
from jobyard.errors import ConnectionUnusableError, JobError

TEAM = "<team>"
ARGUMENT = re.compile(r"(\w+_)?conn(ection)?(_id)?s?")
"""What arguments are called that name a connection."""
AWS_TYPES = ("aws", "emr")


def connection_arguments(operator: type[Any]) -> list[str]:
    """Return the arguments with which the operator's class, or one that it is made from, takes a connection."""
    bases = [base for base in operator.__mro__ if base is not BaseOperator and "__init__" in vars(base)]
    names: set[str] = set()
    for base in bases:
        names.update(signature(vars(base)["__init__"]).parameters)
    return sorted(filter(ARGUMENT.fullmatch, names))


def refuse_shared_connections(operator: type[Any], allowed: Iterable[str], fixed: Mapping[str, Any]) -> None:
    """Raise unless the platform gives each connection of the operator, and each is the team's.

    Raises:
        JobError: one is the task's to give, has its default, or is everybody's.
    """
    for name in allowed:
        if ARGUMENT.fullmatch(name):
            raise JobError(f"its argument {name!r} names a connection, which only the platform may give")
    for name in connection_arguments(operator):
        value = fixed.get(name)
        if not isinstance(value, str) or TEAM not in value:
            raise JobError(
                f"its operator takes a connection as {name!r}, which must be fixed to one of the team's "
                f"(jobyard_<kind>_{TEAM}), not {value!r}"
            )


class OwnConnections:
    """What Airflow calls before a task of a type is run, or looks once more: are its connections of use?"""

    def __init__(self, connections: Mapping[str, str]) -> None:
        """`connections` are the names of connections by the arguments that they are given as."""
        self.connections = dict(connections)

    def __call__(self, context: Context) -> None:
        """Look at each.

        Raises:
            ConnectionUnusableError: one does not exist, is empty, or would leave the worker its own identity.
        """
        for argument, name in self.connections.items():
            check_connection(name, aws="aws" in argument)


def check_connection(name: str, *, aws: bool) -> None:
    """Raise unless the connection exists and says whose rights it gives; `aws` where AWS's hook will take it.

    Raises:
        ConnectionUnusableError: it does not exist, is empty, or would leave the worker its own identity.
    """
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException as error:
        raise ConnectionUnusableError(name, "it does not exist") from error
    if not any((connection.host, connection.login, connection.password, connection.extra_dejson)):
        raise ConnectionUnusableError(name, "it is empty")
    if (aws or connection.conn_type in AWS_TYPES) and not _names_an_identity(connection):
        reason = "it has neither role_arn nor keys, so the worker's own AWS identity would be used"
        raise ConnectionUnusableError(name, reason)


def _names_an_identity(connection: Any) -> bool:
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper

    wrapped = AwsConnectionWrapper(conn=connection)
    return bool(wrapped.role_arn or (wrapped.aws_access_key_id and wrapped.aws_secret_access_key))
