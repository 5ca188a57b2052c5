"""The Variable with the addresses of a team's images: in the Parameter Store, or in Airflow's own database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.aws.errors import refused, store_errors
from jobyard_cli.errors import JobyardError
from jobyard_cli.release.object import ReleaseObject

_TRIES = 40


class SetVariableError(JobyardError):
    """The Variable could not be read or written."""


class VariableStore(Protocol):
    """Where one Variable is kept."""

    address: str

    def get(self) -> str | None:
        """Return the Variable's value, or None if it does not exist."""
        ...

    def set(self, value: str) -> None:
        """Make it that."""
        ...


class AirflowVariable:
    """A Variable in Airflow's database, over its REST API."""

    def __init__(self, airflow: AirflowClient, name: str) -> None:
        self.address = f"Airflow's Variable {name}"
        self._airflow = airflow
        self._name = name

    def get(self) -> str | None:
        """Return the Variable's value, or None if it does not exist.

        Raises:
            AirflowError: unreachable, or refused.
        """
        return self._airflow.variable(self._name)

    def set(self, value: str) -> None:
        """Make it that.

        Raises:
            AirflowError: unreachable, or refused.
        """
        self._airflow.set_variable(self._name, value)


class Parameter:
    """A Variable in the Parameter Store, which Airflow asks first where it is its secrets backend."""

    def __init__(self, client: Any, name: str) -> None:
        """Take boto3's client for the Parameter Store, and the parameter's full name."""
        self.address = f"the parameter {name}"
        self._client = client
        self._name = name

    def get(self) -> str | None:
        """Return the Variable's value, or None if it does not exist.

        Raises:
            SetVariableError: refused, or no answer.
        """
        with self._refused("ssm:GetParameter"):
            try:
                answer = self._client.get_parameter(Name=self._name, WithDecryption=True)
            except self._client.exceptions.ParameterNotFound:
                return None
            return str(answer["Parameter"]["Value"])

    def set(self, value: str) -> None:
        """Make it that; a new one is a plain string, one that is there stays of its type.

        Raises:
            SetVariableError: refused, or no answer.
        """
        with self._refused("ssm:PutParameter"):
            change = {"Name": self._name, "Value": value, "Tier": "Intelligent-Tiering"}
            if self.get() is None:
                self._client.put_parameter(**change, Type="String", Overwrite=True)
            else:
                self._client.put_parameter(**change, Overwrite=True)

    def _refused(self, right: str) -> AbstractContextManager[None]:
        hints = {"AccessDeniedException": f"the role needs {right} on it"}
        return refused(self.address, SetVariableError, hints=hints)


def converge(store: VariableStore, released: ReleaseObject, etag: str, images: Mapping[str, str]) -> bool:
    """Merge the images of a release into the Variable; return whether it was written.

    After a write, it checks whether that release is still the newest, and takes the newest one's images if
    it is not: so of two syncs at once the older one's images never stay. `etag` is the release's.

    Raises:
        SetVariableError: the Variable can't be read or written, or releases kept coming.
        AirflowError: likewise, of Airflow.
        StoreError: the bucket refuses or does not answer.
    """
    wrote = False
    for _ in range(_TRIES):
        if not _merge(store, images) and not wrote:
            return False
        wrote = True
        with store_errors(released.address):
            newest = released.newest()
            if newest is None or newest.etag == etag:
                return True
            etag = newest.etag
            images = images_in(released.read())
    raise SetVariableError(
        f"{store.address}: another release was published at the same time, {_TRIES} times over; run it again"
    )


def newest_images(store: VariableStore, released: ReleaseObject) -> None:
    """Give the Variable the images of the current release, as its own sync may not have done so.

    Raises:
        SetVariableError: the Variable can't be read or written.
        AirflowError: likewise, of Airflow.
        StoreError: the bucket refuses or does not answer.
    """
    with store_errors(released.address):
        newest = released.newest()
        if newest is None:
            return
        images = images_in(released.read())
    if images:
        converge(store, released, newest.etag, images)


def images_in(release: bytes) -> dict[str, str]:
    """Return the images of a release; none if the content is not a release."""
    try:
        return {str(name): str(url) for name, url in json.loads(release).get("images", {}).items()}
    except (ValueError, AttributeError):
        return {}


def _merge(store: VariableStore, images: Mapping[str, str]) -> bool:
    """Whether the Variable had to be written."""
    stored = _parsed(store.get())
    merged = {**stored, **images}
    if merged == stored:
        return False
    store.set(json.dumps(merged, sort_keys=True))
    return True


def _parsed(text: str | None) -> dict[str, Any]:
    """Return the current content; none if it is not a JSON object, which DAGs could not use either."""
    try:
        stored = json.loads(text or "{}")
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}
