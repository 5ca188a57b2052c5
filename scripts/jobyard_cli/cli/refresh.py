"""`jobyard refresh`: the platform's current branch, fetched now."""

from __future__ import annotations

import sys

from jobyard_cli.cli.options import TeamRepository, team_root


def refresh(repo: TeamRepository = None) -> None:
    """Fetch the platform's current branch: the team's bounds, the environments and the published jobs.

    The other commands do so themselves every five minutes. Exit code 0 also where the fetch fails and an older copy can
    be used; standard error then says how old it is.
    """
    from jobyard_cli.platform.current import refresh as fetch

    current = fetch(team_root(repo))
    print(current.state, file=sys.stderr if current.why else sys.stdout)
