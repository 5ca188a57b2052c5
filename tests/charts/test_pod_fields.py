"""Only the fields of the builder's pods are admitted: each that the running API server knows, one by one.

What a field would have to hold to be valid does not matter to the policy, but the API server looks at that first. So
here the policy is asked of objects of a kind like Pod's, in which the API server lets everything pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.charts.team_pods import POD_IDENTITY, ROLES_FOR_ACCOUNTS, USUAL, changed, refused, start
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]
GROUP = "lookalike.jobyard.dev"
LATER = {
    "metadata.deletionGracePeriodSeconds": "the API server's, of a pod that is deleted",
    "metadata.deletionTimestamp": "likewise",
    "metadata.managedFields": "the API server's, which kubectl does not show",
    "metadata.selfLink": "the API server takes it away",
    "metadata.resourceVersion": "the API server's, of a pod that is there",
    "spec.nodeName": "the scheduler's",
    "spec.containers[].command": "a job's, in place of the image's",
    "spec.containers[].securityContext.readOnlyRootFilesystem": "narrows what the pod may do",
    "spec.tolerations[].value": "a node group's with a taint",
}
"""Fields that the pods below do not have, and that are admitted: why."""
DATA = ("metadata.managedFields", "metadata.annotations", "metadata.labels", "spec.nodeSelector")
"""Fields below which there are names of somebody's choice."""
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"pods.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"kind": "Pod", "plural": "pods"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def whole(cluster: Cluster) -> list[Object]:
    return whole_pods(cluster)


def whole_pods(cluster: Cluster) -> list[Object]:
    """Pods as the API server has them, with all that it adds, that together have every field that one may have."""
    answers = [start(cluster, changed(changes), "-o", "json") for changes in ({}, ROLES_FOR_ACCOUNTS, POD_IDENTITY)]
    assert [answer.stderr for answer in answers if answer.returncode] == []
    return [json.loads(answer.stdout) for answer in answers]


@pytest.fixture(scope="module")
def schemas(cluster: Cluster) -> dict[str, Object]:
    return known_schemas(cluster)


def known_schemas(cluster: Cluster) -> dict[str, Object]:
    """What the running API server says of its kinds."""
    text = cluster.kubectl("get", "--raw=/openapi/v3/api/v1").stdout
    found: dict[str, Object] = json.loads(text)["components"]["schemas"]
    return found


@pytest.fixture(scope="module")
def lookalike(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> Iterator[Cluster]:
    with lookalikes(cluster, render_chart):
        yield cluster


@contextmanager
def lookalikes(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> Iterator[None]:
    """The cluster, with a kind that is like Pod's and the policy on pods for it."""
    from tests.charts.conftest import PLATFORM

    objects = [one for one in render_chart("platform", values=PLATFORM) if one["metadata"]["name"] == "jobyard-pods"]
    policy, binding = (deepcopy(one) for one in objects)
    assert [one["kind"] for one in (policy, binding)] == [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ]
    for one in (policy, binding):
        one["metadata"] = {"name": "lookalike"}
    policy["spec"]["matchConstraints"]["resourceRules"][0].update(apiGroups=[GROUP], resources=["pods"])
    binding["spec"]["policyName"] = "lookalike"
    cluster.apply([CRD, policy, binding])
    wait_until(lambda: "denied request" in _send(cluster, "create", [lookalike_of(USUAL, "probe")], "--dry-run=server"))
    yield
    cluster.kubectl("delete", f"crd/pods.{GROUP}", "validatingadmissionpolicy/lookalike")
    cluster.kubectl("delete", "validatingadmissionpolicybinding/lookalike")


def lookalike_of(pod: Object, name: str) -> Object:
    """The pod as one of the other kind."""
    kept = ("labels", "annotations", "namespace", "finalizers", "ownerReferences", "generateName", "selfLink")
    metadata = {key: value for key, value in pod["metadata"].items() if key in kept}
    return {"apiVersion": f"{GROUP}/v1", "kind": "Pod", "metadata": {**metadata, "name": name}, "spec": pod["spec"]}


def test_each_field_that_no_pod_of_the_builder_has_is_refused(
    lookalike: Cluster, whole: list[Object], schemas: dict[str, Object]
) -> None:
    """When the object is made, and when one that is there is changed."""
    try_each_field(lookalike, whole, schemas)


def try_each_field(
    lookalike: Cluster, whole: list[Object], schemas: dict[str, Object], dropped: frozenset[str] = frozenset()
) -> None:
    """Ask for each field; `dropped` are those that this API server takes away before a policy sees them."""
    known = {path for pod in whole for path in paths_of(pod)} | set(LATER) | dropped
    others = dict(fields(schemas, known))
    assert len(others) > 100
    assert {"spec.hostNetwork", "spec.volumes[].csi", "spec.containers[].env[].valueFrom.fieldRef"} <= others.keys()
    names = {f"field-{number}": path for number, path in enumerate(sorted(others))}
    tries = {name: with_field(whole, path, others[path]) for name, path in names.items()}
    created = refused(_send(lookalike, "create", [lookalike_of(pod, name) for name, pod in tries.items()]))
    assert_refused(created, names)

    usual = [lookalike_of(whole[0], name) for name in names]
    assert refused(_send(lookalike, "create", usual)) == {}
    changes = [lookalike_of(pod, name) for name, pod in tries.items()]
    assert_refused(refused(_send(lookalike, "replace", changes)), names)


def assert_refused(said: Mapping[str, str], names: Mapping[str, str]) -> None:
    wrong = {path: said.get(name, "was admitted") for name, path in names.items()}
    for path in list(wrong):
        if wrong[path].rstrip().endswith(f"a pod may have only the fields that Jobyard sets, not {path}"):
            del wrong[path]
    assert wrong == {}


def test_what_is_let_in_besides_is_a_field_of_pods(schemas: dict[str, Object], whole: list[Object]) -> None:
    """Else the list of the exceptions says more than there is."""
    seen = {path for pod in whole for path in paths_of(pod)}
    assert not seen & LATER.keys()
    assert LATER.keys() <= dict(fields(schemas, seen)).keys()


def test_a_pod_without_what_every_pod_has_is_refused(lookalike: Cluster, whole: list[Object]) -> None:
    """Where a LimitRange or the API server's defaults do not put it there."""
    container = whole[0]["spec"]["containers"][0]
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    wanted = {
        "no-disk": ({"requests": {**requests, "ephemeral-storage": "0"}, "limits": limits}, "more than 0 of each"),
        "no-request": ({"limits": limits}, "a container must request cpu, memory and ephemeral-storage"),
        "no-limit": ({"requests": requests}, "a container must have limits of memory and ephemeral-storage"),
    }
    pods = {
        name: changed({"spec.containers.0.resources": resources}, whole[0]) for name, (resources, _) in wanted.items()
    }
    said = refused(_send(lookalike, "create", [lookalike_of(pod, name) for name, pod in pods.items()]))
    assert said.keys() == wanted.keys()
    assert [name for name, (_, words) in wanted.items() if words not in said[name]] == []


def paths_of(value: Any, path: str = "") -> Iterator[str]:
    """Every field that is there, as `spec.containers[].image`."""
    if isinstance(value, list):
        for one in value:
            yield from paths_of(one, f"{path}[]")
    elif isinstance(value, dict) and path not in DATA:
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            yield here
            yield from paths_of(inner, here)


def fields(
    schemas: Mapping[str, Object], known: set[str], path: str = "", schema: Object | None = None
) -> Iterator[Any]:
    """Each field that is not known, of those that are: its path and its schema."""
    if schema is None:
        pod = schemas["io.k8s.api.core.v1.Pod"]["properties"]
        schema = {"properties": {part: pod[part] for part in ("metadata", "spec")}}
    for name, stated in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        found = _resolved(schemas, stated)
        if here not in known:
            yield here, found
        elif here not in DATA:
            inside = found.get("type") == "array"
            inner = _resolved(schemas, found["items"]) if inside else found
            yield from fields(schemas, known, f"{here}[]" if inside else here, inner)


def _resolved(schemas: Mapping[str, Object], schema: Object) -> Object:
    references = [part["$ref"] for part in (schema, *schema.get("allOf", [])) if "$ref" in part]
    return schemas[references[0].rpartition("/")[2]] if references else schema


VALUES: dict[str, Any] = {"string": "x", "integer": 1, "number": 1, "boolean": True, "object": {}, "array": [{}]}
METADATA: dict[str, Any] = {
    "metadata.finalizers": ["example.com/never"],
    "metadata.generateName": "x-",
    "metadata.ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "9f6f8ad6"}],
}
"""What the API server looks at even in a kind that it knows nothing of."""


def with_field(pods: list[Object], path: str, schema: Object) -> Object:
    """The first of the pods that has what the field is in, with the field."""
    value = METADATA.get(path, VALUES[schema.get("type", "string")])
    for pod in map(deepcopy, pods):
        owner = next(_owners(pod, path.split(".")[:-1]), None)
        if owner is not None:
            owner[path.rpartition(".")[2]] = value
            return pod
    raise AssertionError(f"no pod has what {path} would be in")


def _owners(value: Any, steps: list[str]) -> Iterator[Object]:
    if not steps:
        yield value
    elif (name := steps[0].removesuffix("[]")) in value:
        inner = value[name]
        for one in inner if steps[0].endswith("[]") else [inner]:
            yield from _owners(one, steps[1:])


def _send(cluster: Cluster, verb: str, objects: list[Object], *options: str) -> str:
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    return cluster.kubectl(verb, "-f", "-", *options, stdin=items).stderr
