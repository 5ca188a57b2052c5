"""The roles as CloudFormation takes them, and within IAM's limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint_file  # type: ignore[import-untyped]
from jobyard_cli.iam.role import POLICIES, POLICY_SIZE, allow, document, policies, size
from jobyard_cli.iam.roles import Roles, all_roles, only
from jobyard_cli.iam.template import RESOURCES, TooManyResourcesError, as_json, cloudformation
from jobyard_cli.platform.environments import Environment, load_environment

from tests.iam.conftest import PLATFORM_REPO, TEAMS, VALUES
from tests.support.golden import assert_golden
from tests.support.paths import ROOT

GOLDEN = Path(__file__).parent / "golden"
BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"


def many(count: int) -> Environment:
    """An environment with that many teams, with names as long as they may be."""
    teams: dict[str, Any] = {}
    for number in range(count):
        name = f"{'a-team-with-a-long-name-':x<37}{number:03}"
        roles = {"serviceAccounts": [f"{name}-jobs"]}
        teams[name] = {"repo": f"https://git.example.com/teams/team-{number}.git", "iamRoles": roles}
    return Environment("prod", VALUES, teams)


def lint(text: str, folder: Path) -> str:
    """What cfn-lint says of a template: errors, and warnings such as of an action that AWS does not have.

    Within this process, as most of the program's time is its start.
    """
    file = folder / "template.yaml"
    file.write_text(text)
    return "\n".join(f"{match.rule.id} {match.message}" for match in lint_file(file, {"regions": ["eu-central-1"]}))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["dev", "prod"])
def test_golden(name: str) -> None:
    others = [load_environment(ROOT, other) for other in ("dev", "prod") if other != name]
    text = cloudformation(name, all_roles(load_environment(ROOT, name), PLATFORM_REPO, others=others))
    assert_golden(GOLDEN / f"{name}.yaml", text)


def test_a_template_is_valid_and_every_action_is_one_that_aws_has(environment: Environment, tmp_path: Path) -> None:
    assert lint(cloudformation("prod", all_roles(environment, PLATFORM_REPO), BOUNDARY), tmp_path) == ""


def test_a_template_with_rights_in_several_policies_is_valid(tmp_path: Path) -> None:
    text = cloudformation("prod", only(all_roles(many(200), PLATFORM_REPO), ["platform"]))
    assert "AirflowPolicy2:" in text
    assert lint(text, tmp_path) == ""


def test_an_action_that_aws_does_not_have_would_be_found(environment: Environment, tmp_path: Path) -> None:
    text = cloudformation("prod", all_roles(environment, PLATFORM_REPO))
    assert "W3037" in lint(text.replace("- ssm:PutParameter", "- ssm:PutParametre"), tmp_path)


def test_a_launcher_comes_after_the_role_that_it_trusts_and_is_in_its_teams_group(environment: Environment) -> None:
    resources = template(all_roles(environment, PLATFORM_REPO))
    assert resources["riskLauncher"]["DependsOn"] == ["Airflow"]
    assert resources["riskLauncher"]["Properties"]["Path"] == "/batch/"
    assert resources["riskLauncherAccessEntry"]["Properties"] == {
        "ClusterName": "ml",
        "PrincipalArn": {"Fn::GetAtt": ["riskLauncher", "Arn"]},
        "KubernetesGroups": ["jobyard:risk:launchers"],
    }


def test_the_parts_together_are_the_whole(environment: Environment) -> None:
    roles = all_roles(environment, PLATFORM_REPO)
    whole = template(roles)
    parts = [template(only(roles, [part])) for part in ("platform", *TEAMS)]
    assert sorted(name for part in parts for name in part) == sorted(whole)
    for part in parts:
        assert all({**whole[name], "DependsOn": None} == {**found, "DependsOn": None} for name, found in part.items())
    # A role of another stack can't be waited for.
    assert not any("DependsOn" in found for part in parts for found in part.values())


def test_every_role_gets_the_boundary_that_is_asked_for(environment: Environment) -> None:
    text = cloudformation("prod", all_roles(environment, PLATFORM_REPO), BOUNDARY)
    roles = [one for one in yaml.safe_load(text)["Resources"].values() if one["Type"] == "AWS::IAM::Role"]
    assert len(roles) == len(all_roles(environment, PLATFORM_REPO).roles)
    assert all(one["Properties"]["PermissionsBoundary"] == BOUNDARY for one in roles)


def test_the_json_has_what_the_template_has(environment: Environment) -> None:
    roles = all_roles(environment, PLATFORM_REPO)
    found, resources = json.loads(as_json(roles)), template(roles)
    made = {
        one["Properties"]["RoleName"]: one["Properties"]
        for one in resources.values()
        if "RoleName" in one["Properties"]
    }
    assert sorted(found) == sorted(made)
    for name, one in found.items():
        assert one["trust"] == made[name]["AssumeRolePolicyDocument"]
        assert one["policies"] == [policy["PolicyDocument"] for policy in made[name].get("Policies", [])]


def test_200_teams_are_within_iams_limits() -> None:
    environment = many(200)
    roles = all_roles(environment, PLATFORM_REPO)
    for role in roles.roles:
        found = policies(role.statements)
        assert len(found) <= POLICIES
        assert all(size(policy) <= POLICY_SIZE for policy in found)
        sids = [statement["Sid"] for policy in found for statement in policy["Statement"]]
        assert len(set(sids)) == len(sids)
    airflow = [one for role in roles.roles if role.key == "Airflow" for one in policies(role.statements)]
    assert len(airflow) > 1
    statements = [statement for policy in airflow for statement in policy["Statement"]]
    assumed = [arn for one in statements if one["Action"] == ["sts:AssumeRole"] for arn in one["Resource"]]
    assert sorted(assumed) == sorted(f"arn:aws:iam::111122223333:role/jobyard-{team}" for team in environment.teams)


def test_what_is_too_much_for_one_template_is_deployed_in_parts() -> None:
    roles = all_roles(many(200), PLATFORM_REPO)
    with pytest.raises(
        TooManyResourcesError, match="CloudFormation allows 500 in one template: .*`--only platform`, then"
    ):
        cloudformation("prod", roles)
    resources = template(only(roles, ["platform"]))
    attached = [one for one in resources.values() if one["Type"] == "AWS::IAM::ManagedPolicy"]
    with_policies = {name for one in attached for name in one["Properties"]["Roles"][0].values()}
    assert with_policies == {"Airflow", "PlatformCi", "PlatformCatalogue"}
    assert len(template(all_roles(many(40), PLATFORM_REPO))) < RESOURCES


def test_a_statement_that_is_too_long_is_split_without_losing_a_resource() -> None:
    arns = [f"arn:aws:s3:::bucket/{number:0100}" for number in range(150)]
    before = allow("First", ["s3:ListBucket"], ["arn:aws:s3:::bucket"])
    found = policies([before, allow("Long", ["s3:GetObject"], arns)])
    statements = [statement for policy in found for statement in policy["Statement"]]
    assert statements[0] == before
    assert [arn for statement in statements[1:] for arn in statement["Resource"]] == arns
    assert all(size(policy) <= POLICY_SIZE for policy in found)
    assert policies([before]) == [document([before])]
    assert policies([]) == []


def template(roles: Roles) -> dict[str, Any]:
    """The resources of the roles' template."""
    found: dict[str, Any] = yaml.safe_load(cloudformation("prod", roles))["Resources"]
    return found
