"""Tell the system form of a crontab, which has a column of users, from a user's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from jobyard_cli.importing.words import word_set


class Form(StrEnum):
    """Whose crontab it is: a user's (`crontab -e`), the system's (`/etc/crontab`, `/etc/cron.d`), or as it looks."""

    auto = "auto"
    user = "user"
    system = "system"


_USER = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,31}\$?)[ \t]+(\S.*)", re.DOTALL)
_WELL_KNOWN = word_set(
    """
    root ubuntu ec2-user centos admin debian pi nobody daemon www-data apache nginx http postgres mysql git
    jenkins airflow deploy backup operator app appuser hadoop spark jovyan munin smmsp mail operator
    """
)
_ONLY_USERS = frozenset(["root", "ubuntu", "ec2-user", "centos", "debian", "nobody", "www-data"])
"""Names of users that are not names of programs."""
_COMMAND = re.compile(
    r"(python|pypy|pip|node|php|ruby|perl|java|R|Rscript|bash|sh|zsh|dash|ksh|cd|env|nice|ionice|timeout|flock|sudo|su|"
    r"test|curl|wget|docker|docker-compose|podman|make|echo|find|rm|cp|mv|cat|tar|rsync|date|sleep|export|source|aws|gcloud|"
    r"npm|npx|yarn|uv|poetry|pipenv|conda|mamba|jupyter|papermill|nohup|chronic|psql|mysql|mysqldump|pg_dump|git|"
    r"certbot|logrotate|run-parts|systemctl|service|supervisorctl|newsyslog|periodic|adjkerntz|command|exec|if|for|while)"
    r"[0-9.]*"
)
_COLUMN = re.compile(r"\b(dow|wday|weekday|day of week|week)\b.*\b(user|who|user-name|username)\b", re.IGNORECASE)
_SYSTEM_FILE = re.compile(r"(^|/)(etc/crontab|cron\.d/[^/]+)$")


def user_column(rest: str) -> tuple[str, str]:
    """Split what follows the schedule into user and command; the user is "" where the first word cannot be one."""
    match = _USER.fullmatch(rest)
    if match is None or is_command(match[1]):
        return "", rest
    return match[1], match[2]


def is_command(word: str) -> bool:
    """Return whether a word is a program that crontabs often run."""
    return _COMMAND.fullmatch(word) is not None


def is_for_user(command: str) -> bool:
    """Return whether an entry starts with a user even in a crontab without that column, where cron could not run it."""
    return user_column(command)[0] in _ONLY_USERS


def has_user_column(commands: Sequence[str], comments: Sequence[str], form: Form, name: str) -> bool:
    """Return whether the entries have a user before the command."""
    if form is not Form.auto:
        return form is Form.system
    plausible = [command for command in commands if user_column(command)[0]]
    if not plausible or len(plausible) * 2 < len(commands):
        return False
    hinted = _SYSTEM_FILE.search(name) or any(_COLUMN.search(comment) for comment in comments)
    return bool(hinted) or any(_surely_user(command) for command in plausible)


def _surely_user(command: str) -> bool:
    user, rest = user_column(command)
    first = rest.split()[0]
    # Few programs take the name of another, or an assignment, as their first argument.
    if is_command(first) or re.match(r"[A-Z_]+=|\[$", first):
        return True
    return user in _ONLY_USERS or (user in _WELL_KNOWN and first[0] in "/.~$")
