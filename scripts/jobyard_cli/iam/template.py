"""Roles as a CloudFormation template, and as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import indent

import yaml

from jobyard_cli.errors import JobyardError
from jobyard_cli.iam.role import Policy, Role, document, policies
from jobyard_cli.iam.roles import Roles

RESOURCES = 500
"""As many CloudFormation takes in one template."""
MAKE_PROVIDERS = "CreateIdentityProviders"
Resource = Mapping[str, object]


class TooManyResourcesError(JobyardError):
    """CloudFormation would not take the template."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} resources, and CloudFormation allows {RESOURCES} in one template: deploy the roles in parts, "
            "first with `--only platform`, then with `--only <team>` for each team or for several"
        )


def cloudformation(environment: str, roles: Roles, boundary: str = "") -> str:
    """Return a template that can be deployed as it is, with notes on each role as comments.

    Raises:
        TooManyResourcesError: CloudFormation would not take it.
    """
    resources = list(_resources(roles, boundary))
    if len(resources) > RESOURCES:
        raise TooManyResourcesError(len(resources))
    head = f"# Made by `jobyard iam --environment {environment}` from values/; change those, not this file.\n"
    text = head + _yaml({"AWSTemplateFormatVersion": "2010-09-09", "Description": f"Jobyard: roles of {environment}"})
    if roles.issuers:
        text += _yaml(_PARAMETERS)
    text += "Resources:\n"
    for comments, name, resource in resources:
        text += _indented(comments, name, resource)
    return text


_PARAMETERS = {
    "Parameters": {
        MAKE_PROVIDERS: {
            "Type": "String",
            "AllowedValues": ["true", "false"],
            "Default": "true",
            "Description": "Whether to make the git hosts' identity providers; an account has one of each.",
        }
    },
    "Conditions": {MAKE_PROVIDERS: {"Fn::Equals": [{"Ref": MAKE_PROVIDERS}, "true"]}},
}


def as_json(roles: Roles) -> str:
    """Return each role by its name: its identity, trust policy, policies, and groups in the cluster."""
    content = {}
    for role in roles.roles:
        content[role.short_name] = {
            "identity": role.identity,
            "path": role.path,
            "trust": document(role.trust),
            "policies": policies(role.statements),
            "kubernetesGroups": list(role.groups),
            "notes": list(role.notes),
        }
    return json.dumps(content, indent=2) + "\n"


def _resources(roles: Roles, boundary: str) -> Iterator[tuple[list[str], str, Resource]]:
    """Comments, name and content of each resource."""
    for number, (issuer, audience) in enumerate(roles.issuers.items(), start=1):
        yield [], f"GitHost{number}", _provider(issuer, audience)
    keys = {role.key for role in roles.roles}
    for role in roles.roles:
        rights = policies(role.statements)
        yield [f"{role.identity}", *role.notes], role.key, _role(role, rights, keys, boundary)
        if len(rights) > 1:
            for number, policy in enumerate(rights, start=1):
                yield [], f"{role.key}Policy{number}", _policy(role, policy)
        if role.groups:
            yield [], f"{role.key}AccessEntry", _access_entry(roles, role)


def _provider(issuer: str, audience: str) -> Resource:
    return {
        "Type": "AWS::IAM::OIDCProvider",
        "Condition": MAKE_PROVIDERS,
        "Properties": {"Url": f"https://{issuer}", "ClientIdList": [audience]},
    }


def _role(role: Role, rights: list[Policy], keys: set[str], boundary: str) -> Resource:
    """A role; a single policy is part of it. It waits for those of the template's roles that it comes after."""
    properties: dict[str, object] = {"RoleName": role.short_name, "Path": role.path, "Description": role.identity}
    properties["AssumeRolePolicyDocument"] = document(role.trust)
    if len(rights) == 1:
        properties["Policies"] = [{"PolicyName": "jobyard", "PolicyDocument": rights[0]}]
    if boundary:
        properties["PermissionsBoundary"] = boundary
    resource: dict[str, object] = {"Type": "AWS::IAM::Role"}
    if before := [key for key in role.after if key in keys]:
        resource["DependsOn"] = before
    resource["Properties"] = properties
    return resource


def _policy(role: Role, policy: Policy) -> Resource:
    """A part of the rights of a role that has too many for one policy."""
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"Roles": [{"Ref": role.key}], "PolicyDocument": policy},
    }


def _access_entry(roles: Roles, role: Role) -> Resource:
    return {
        "Type": "AWS::EKS::AccessEntry",
        "Properties": {
            "ClusterName": roles.account.cluster,
            "PrincipalArn": {"Fn::GetAtt": [role.key, "Arn"]},
            "KubernetesGroups": list(role.groups),
        },
    }


def _indented(comments: list[str], name: str, resource: Resource) -> str:
    notes = "".join(f"# {comment}\n" for comment in comments)
    return indent(notes + _yaml({name: resource}), "  ")


class _Dumper(yaml.SafeDumper):
    """Writes each part out where it is, as CloudFormation's reader takes no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _yaml(content: object) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120)
