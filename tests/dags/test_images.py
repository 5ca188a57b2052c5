"""Image names become URLs when a task runs."""

import json

import pytest
from jobyard.compat import AirflowFailException
from jobyard.errors import ImageError, ImageSourceError
from jobyard.images import ImageLookup, image_field
from support import Bucket, context, job, task

URL = "registry.example.com/risk/inference@sha256:0123"
NAME = "AIRFLOW_VAR_JOBYARD_IMAGES_RISK"
pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("image", [URL, "registry.example.com/inference", "inference:1", "inference@sha256:0"])
def test_a_url_is_taken_as_it_is(image: str) -> None:
    assert image_field(image) == image


def test_a_name_is_looked_up_when_the_task_runs(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = bucket.dag(job(tasks={"score": task(image="inference")})).get_task("score")
    monkeypatch.setenv(NAME, json.dumps({"inference": URL}))
    operator.render_template_fields(context())
    assert operator.image == URL


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "it does not exist; publishing the team's images writes it"),
        (
            {"inference": URL, "train": URL},
            "no such key; did you mean 'inference'? available: inference, train",
        ),
        ({"x": URL}, "no such key; available: x"),
        ({}, "no such key; none available"),
        ({"inferense": ""}, "no such key; did you mean 'inferense'? available: inferense"),
        ([], "it is not a JSON object"),
    ],
)
def test_a_failed_lookup_says_what_there_is(value: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv(NAME, json.dumps(value))
    with pytest.raises(ImageError) as raised:
        ImageLookup("risk")("inferense")
    assert str(raised.value) == f"image 'inferense': Airflow Variable 'jobyard_images_risk': {message}"
    assert isinstance(raised.value, AirflowFailException)


def test_a_variable_that_is_not_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "{")
    with pytest.raises(ImageError, match="'jobyard_images_risk': it is not JSON"):
        ImageLookup("risk")("inference")


@pytest.mark.parametrize(
    "url",
    [
        "python:3",
        "docker.io/library/python:3",
        "registry.example.com@sha256:0123",
        "registry.example.com.evil.com/risk/inference@sha256:0123",
        "registry.example.com:5000/risk/inference@sha256:0123",
    ],
)
def test_a_url_of_another_registry_is_refused_before_there_is_a_pod(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, json.dumps({"inference": url}))
    with pytest.raises(ImageSourceError) as raised:
        ImageLookup("risk", ["registry.example.com", "ghcr.io/team"])("inference")
    known = "registry.example.com, ghcr.io/team"
    assert str(raised.value) == f"image '{url}' must come from a registry of this environment: {known}"


def test_a_url_of_the_environments_registries_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, json.dumps({"inference": "registry.example.com/risk/inference@sha256:0123"}))
    assert ImageLookup("risk", ["registry.example.com"])("inference").startswith("registry.example.com/risk/")
    assert ImageLookup("risk")("inference").startswith("registry.example.com/risk/")
