"""Where a pipeline's merge request is, by the variables that GitLab and GitHub set, and its one comment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jobyard_cli.errors import JobyardError, UnavailableError
from jobyard_cli.system.waiting import PATIENCE_SECONDS, insist

if TYPE_CHECKING:
    from requests import Response

MARK = "<!-- jobyard: plan -->"
"""Nobody sees it in the comment; by it the next pipeline finds what the last one wrote."""
LONGEST = 65_000
"""GitHub takes 65,536 characters, GitLab more; a plan is shorter, as one that is cut anywhere could mean anything."""
SECONDS = 30


class CommentError(JobyardError):
    """The service did not take the comment."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"could not write the comment at {url}: {reason}")


class CommentBusyError(CommentError, UnavailableError):
    """Likewise, as it did not answer, or not now."""


class NoMergeRequestError(JobyardError):
    """There is nothing to comment on."""

    def __init__(self) -> None:
        super().__init__("not running in a GitLab merge request or GitHub pull request pipeline")


class MissingTokenError(JobyardError):
    """There is a merge request, and nothing that lets us write to it."""

    def __init__(self, how: str) -> None:
        super().__init__(how)


class Done(StrEnum):
    """What became of the comment."""

    created = "created"
    updated = "updated"
    unchanged = "unchanged"


@dataclass(frozen=True)
class Thread:
    """A merge request's comments: where they are listed and added, where one of them is, and who asks."""

    comments: str
    comment: str
    """Address of one, which takes the id of the comment and the HTTP verb that changes it."""
    verb: str
    headers: Mapping[str, str]

    def put(self, text: str, patience: float = PATIENCE_SECONDS) -> Done:
        """Make the text the one comment with our mark; while the service does not answer, try again.

        Raises:
            CommentError: the service stays away, or refuses.
        """
        # It first looks for its comment, so that one whose answer was lost is not written twice.
        return insist(lambda: self._put(text), patience)

    def _put(self, text: str) -> Done:
        body = _body(text)
        comment = self._find()
        if comment is None:
            self._call("POST", self.comments, {"body": body})
            return Done.created
        if str(comment["body"]).replace("\r\n", "\n") == body:
            return Done.unchanged
        self._call(self.verb, f"{self.comment}/{comment['id']}", {"body": body})
        return Done.updated

    def _find(self) -> dict[str, Any] | None:
        """The comment with our mark, as the service describes it."""
        page, size = 1, 100
        while True:
            comments = self._call("GET", f"{self.comments}?per_page={size}&page={page}")
            for comment in comments:
                if str(comment["body"]).startswith(MARK):
                    return dict(comment)
            if len(comments) < size:
                return None
            page += 1

    def _call(self, verb: str, url: str, content: Mapping[str, str] | None = None) -> Any:
        import requests

        try:
            response = requests.request(verb, url, json=content, headers=dict(self.headers), timeout=SECONDS)
            if not response.ok:
                raise _refusal(url, response)
            return response.json()
        except (requests.ConnectionError, requests.Timeout) as error:
            raise CommentBusyError(url, str(error)) from error
        except (requests.RequestException, ValueError) as error:
            raise CommentError(url, str(error)) from error


def _refusal(url: str, response: Response) -> CommentError:
    reason = f"{response.status_code} {response.reason}: {response.text[:200]}"
    if response.status_code >= 500 or response.status_code == 429:
        return CommentBusyError(url, reason)
    return CommentError(url, reason)


def thread(variables: Mapping[str, str]) -> Thread:
    """Return the merge request of the current pipeline.

    Raises:
        NoMergeRequestError: the pipeline does not belong to one.
        MissingTokenError: it does, but has no token to write with.
    """
    if variables.get("CI_MERGE_REQUEST_IID"):
        return _gitlab(variables)
    if variables.get("GITHUB_ACTIONS") and (number := _pull_request(variables)):
        return _github(variables, number)
    raise NoMergeRequestError


def _gitlab(variables: Mapping[str, str]) -> Thread:
    # The pipeline's own CI_JOB_TOKEN may not write comments.
    token = variables.get("JOBYARD_COMMENT_TOKEN")
    if not token:
        raise MissingTokenError(
            "to get this as a comment on the merge request, make a project access token (role Reporter, scope `api`) "
            "and give it to the pipeline as the masked CI/CD variable JOBYARD_COMMENT_TOKEN"
        )
    project = quote(variables["CI_PROJECT_ID"], safe="")
    request = f"{variables['CI_API_V4_URL']}/projects/{project}/merge_requests/{variables['CI_MERGE_REQUEST_IID']}"
    return Thread(f"{request}/notes", f"{request}/notes", "PUT", {"PRIVATE-TOKEN": token})


def _github(variables: Mapping[str, str], number: int) -> Thread:
    token = variables.get("GITHUB_TOKEN")
    if not token:
        raise MissingTokenError(
            "to get this as a comment on the pull request, give the step GITHUB_TOKEN (`${{ github.token }}`) and the "
            "job `permissions: pull-requests: write`"
        )
    api = variables.get("GITHUB_API_URL", "https://api.github.com")
    issues = f"{api}/repos/{variables['GITHUB_REPOSITORY']}/issues"
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    return Thread(f"{issues}/{number}/comments", f"{issues}/comments", "PATCH", headers)


def _pull_request(variables: Mapping[str, str]) -> int | None:
    """The number in the file of the event that GitHub started the pipeline for."""
    try:
        event = json.loads(Path(variables["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        return int(event["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _body(text: str) -> str:
    shown = text.strip()
    if len(shown) > LONGEST:
        shown = f"{shown[:LONGEST]}\n\n… The rest is too long for a comment: the pipeline's log has all of it."
    return f"{MARK}\n{shown}"
