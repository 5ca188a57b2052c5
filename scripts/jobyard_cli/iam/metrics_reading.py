"""What a team may read of the metrics."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.role import Statement, allow

SHARED = ("index.html", "app.js", "style.css", "icon.svg", "vendor/*", "data/summary.js", "data/days/*")
"""Files of the page that every team may read; the others have one team's part each."""


def team_reads(account: Account, team: str) -> Iterator[Statement]:
    """Yield what a team's merge requests may read: its advice, and of the page its own part, or all of it."""
    if not account.metrics_bucket:
        return
    advice = f"teams/{team}/*"
    names = ["*"] if account.teams_read == "all" else [advice, *page_names(team)]
    keys = [f"{account.metrics_prefix}/{name}" for name in names]
    yield allow("ReadMetrics", ["s3:GetObject"], account.object_arns(account.metrics_bucket, keys))
    yield lists_metrics(account, [f"{account.metrics_prefix}/{advice}"])


def page_names(team: str) -> list[str]:
    """Return patterns of the page's objects for a team that reads its own part; `page/*` would have every team's."""
    return [f"page/{name}" for name in (*SHARED, f"data/teams/{team}.js")]


def lists_metrics(account: Account, prefixes: list[str]) -> Statement:
    """Return the right to list objects below prefixes, without which S3 does not say that one is missing."""
    bucket = account.bucket_arn(account.metrics_bucket)
    return allow("ListMetrics", ["s3:ListBucket"], [bucket], StringLike={"s3:prefix": prefixes})
