"""The file of a new team in the platform's repository."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobyard_cli.chart.check import usual_priorities
from jobyard_cli.platform.teams import OVERRIDES

if TYPE_CHECKING:
    from jobyard_cli.team.new import NewTeam


def team_file(team: NewTeam) -> str:
    """Return the text of `values/teams/<team>.yaml`; values are written as JSON, which is always YAML."""
    low, high = team.priority_band
    quota = team.quota
    levels = ", ".join(f"{level}: {value}" for level, value in usual_priorities(low, high).items())
    roles = f"{{launcher: jobyard-{team.name}, serviceAccounts: [{team.name}-jobs]}}"
    return f"""\
# What the platform gives team {team.name}. Each value is described in docs/values.md.
repo: {json.dumps(team.repo_url)}
# Branch, tag or commit of it that Argo CD syncs.
revision: main
# Where it is and its pipelines run: gitlab or github.
ci: {team.ci}
# What the bill is split by.
costCenter: {json.dumps(team.cost_center)}
# Groups of people that may look at its pods, if the team lets them, besides `jobyard:{team.name}:*`.
viewerGroups: []
# IAM roles of the team: what Airflow assumes to start its pods, and what its service accounts may have.
iamRoles: {roles}
allowedNodeGroups: {json.dumps(list(team.node_groups))}
# Lowest and highest priority that its pods may have.
priorityBand: {{min: {low}, max: {high}}}
# Its levels of priority, with the value of each one's PriorityClass. Its own chart may make these and no others.
priorities: {{{levels}}}
# The most that all its pods together may request.
quota:
  pods: {quota.pods}
  cpu: {json.dumps(quota.cpu)}
  memory: {json.dumps(quota.memory)}
  ephemeralStorage: {json.dumps(quota.ephemeral_storage)}
  gpu: {quota.gpu}
{_environments_text(team)}"""


def _environments_text(team: NewTeam) -> str:
    overrides = f"{OVERRIDES}/<environment>/{team.name}.yaml"
    if not team.environments:
        return f"""\
# Without `environments` the team is in all of them. What is different in one belongs in {overrides}.
# environments: [dev, prod]
"""
    return f"""\
# Those that the team is in. What is different in one belongs in {overrides}.
environments: {json.dumps(list(team.environments))}
"""
