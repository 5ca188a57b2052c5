"""The settings of a crontab: what each becomes in the jobs of the entries below it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from jobyard import limits

from jobyard_cli.importing.secrets import Vault

_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_LEFT_OUT = {
    "PATH": "the image has its own PATH",
    "HOME": "the image has its own user, with a home",
    "LOGNAME": "the image has its own user",
    "USER": "the image has its own user",
    "MAILFROM": "the connection of the alerts has the sender",
    "CONTENT_TYPE": "alerts have their own form",
    "CONTENT_TRANSFER_ENCODING": "alerts have their own form",
    "RANDOM_DELAY": "Airflow starts each run at its time",
    "START_HOURS_RANGE": "Airflow starts each run at its time",
    "BASH_ENV": "a file of the machine: put what it sets into the image, env or secrets",
    "LD_LIBRARY_PATH": "the image has its own libraries",
    "DISPLAY": "a pod has no display",
    "DBUS_SESSION_BUS_ADDRESS": "a pod has no session",
    "XDG_RUNTIME_DIR": "a pod has no session",
}
_STANDARD_PATH = re.compile(r"(/usr/local|/usr)?/s?bin|/usr(/local)?/games|/snap/bin|~?\$?\{?PATH\}?")


@dataclass
class Settings:
    """The settings above an entry. `env` and `secrets` are variables of the jobs, `timezone` is "" without CRON_TZ."""

    shell: str = ""
    timezone: str = ""
    recipients: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, int] = field(default_factory=dict)

    def take(self, name: str, value: str, line: int, vault: Vault) -> tuple[str, list[str]]:
        """Apply a setting to the entries below it. Return what became of it, and notes."""
        # An import gives each job a copy: what is set further down does not change those above.
        self.env, self.secrets = dict(self.env), dict(self.secrets)
        if name == "SHELL":
            self.shell = value
            return "the shell of commands that need one", []
        if name == "MAILTO":
            return self._mail(value)
        if name == "CRON_TZ":
            self.timezone = value
            return f"the time zone of the jobs below: {value}", []
        if name in _LEFT_OUT:
            return f"left out: {_LEFT_OUT[name]}", _path_notes(name, value)
        return self._variable(name, value, line, vault)

    def _mail(self, value: str) -> tuple[str, list[str]]:
        addresses = [part.strip() for part in re.split(r"[,;\s]+", value) if part.strip()]
        usable = [address for address in addresses if _ADDRESS.fullmatch(address) and len(address) <= limits.ADDRESS]
        self.recipients = tuple(dict.fromkeys(usable))[: limits.TARGETS]
        if not addresses:
            return "no mail, so the jobs below have no alerts", []
        notes = [f"'{other}' is a user of the machine, not an address" for other in addresses if other not in usable]
        if not self.recipients:
            return "left out: an alert needs an e-mail address", notes
        return f"an alert of the jobs below when a run fails, to {', '.join(self.recipients)}", notes

    def _variable(self, name: str, value: str, line: int, vault: Vault) -> tuple[str, list[str]]:
        self.env.pop(name, None)
        self.secrets.pop(name, None)
        if vault.setting(name, value, line):
            self.secrets[name] = line
            return "a secret: the jobs below refer to it, and its value was not copied", []
        self.env[name] = value
        notes = []
        if name == "TZ":
            notes.append(
                "TZ is the zone of the commands; most crons read only CRON_TZ for the schedule: see --timezone"
            )
        elif re.search(r"\$\w|\$\{", value):
            notes.append("cron does not replace variables in a setting, and neither does the job")
        return "env of the jobs below", notes


def _path_notes(name: str, value: str) -> list[str]:
    if name != "PATH":
        return []
    special = [part for part in value.split(":") if part and not _STANDARD_PATH.fullmatch(part)]
    return [f"programs of {', '.join(special)} must be in the image"] if special else []
