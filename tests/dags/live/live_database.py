"""What Airflow hands to SQLite's driver; copied to where Airflow imports it from."""

import sqlite3
from typing import Any

# Generous, as the machine may have more to do; nothing waits longer than it has to.
BOUND_SECONDS = 240


class _Cursor(sqlite3.Cursor):
    """Takes the right to write as soon as a savepoint begins.

    A transaction that reads first and writes later can't wait for another one's write in between: SQLite refuses it at
    once ("database is locked"), and a command of Airflow's, unlike its scheduler, doesn't try again.
    """

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement.startswith("SAVEPOINT") and not self.connection.in_transaction:
            super().execute("BEGIN IMMEDIATE")
        return super().execute(statement, *parameters)


class _Connection(sqlite3.Connection):
    def cursor(self, *_: Any) -> Any:
        return super().cursor(_Cursor)


ARGUMENTS = {"timeout": BOUND_SECONDS, "factory": _Connection}
