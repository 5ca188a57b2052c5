"""Say which entries of a crontab look after the machine or keep a service alive: a batch platform needs neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from jobyard_cli.importing.commands import Command
from jobyard_cli.importing.schedules import Schedule
from jobyard_cli.importing.words import word_set

FREQUENT = 5
"""Minutes: an entry that runs more often than this is a service, for which a pod takes too long to start."""
_GROUPS = {
    "it renews certificates of the machine": "certbot certbot-auto letsencrypt acme.sh dehydrated lego",
    "it runs what the machine's distribution installed": """
        run-parts anacron periodic newsyslog atrun adjkerntz save-entropy e2scrub_all e2scrub_all_cron
        popularity-contest sessionclean debian-sa1 sa1 sa2 makewhatis man-db mandb updatedb mlocate freshclam clamscan
        rkhunter chkrootkit lynis fail2ban-client munin-cron munin-html sysstat fstrim tmpreaper tmpwatch logwatch
        raid-check dma""",
    "it rotates logs of the machine": "logrotate savelog",
    "it updates software of the machine": """
        apt apt-get aptitude yum dnf pacman yaourt apk brew snap freebsd-update pkg pkgfile
        unattended-upgrade zypper""",
    "it starts, stops or watches services of the machine": """
        systemctl service supervisorctl pm2 monit forever initctl rc-service pkill killall pgrep kill sv god eye
        shutdown reboot halt poweroff init swapoff swapon watchdog""",
    "it sets the clock, the network or the firewall of the machine": """
        ntpdate sntp chronyc hwclock iptables ufw ip ifconfig nft ddclient inadyn route iwconfig dhclient""",
    "it changes the crontab itself": "crontab",
    "it plays sound or uses the screen of the machine": """
        mpg123 mplayer amixer aplay notify-send xset xrandr say osascript espeak""",
}
_PROGRAMS = {program: reason for reason, programs in _GROUPS.items() for program in programs.split()}
_SERVICE_VERBS = re.compile(
    r"\b(docker|podman)(-compose)?\b.*?\s(up|restart|start|stop|down|pull|kill|prune|ps|update|logs|build)(\s|$)"
)
_ALIVE = re.compile(r"\b(is\s+(alive|running)|keep[- ]?alives?|heart-?beat|cron\s+(test|works?))\b", re.IGNORECASE)
_SCRIPT = re.compile(
    r"(^|[-_./])(watch-?dogs?|keep-?alive|heart-?beat|health-?_?checks?|certbot|letsencrypt|renew[-_]?certs?|"
    r"disk[-_]?(check|space|usage)|check[-_]?(disk|raid|memory|services?)|log[-_]?rot\w*|rotate[-_]?logs?|restart\w*|"
    r"(re)?start[-_]?(server|service|app)s?|dyndns|ddns|duckdns|update[-_]?dns|self[-_]?update|auto[-_]?deploy)"
    r"([-_.]|$)",
    re.IGNORECASE,
)
_SYSTEM_PATHS = re.compile(r"^(/|/etc|/home|/root|/boot|/usr|/var/www|/var/backups?|~)(/?\*?|/[^/]*/?)$")
_ARCHIVERS = word_set(
    """
    tar rsync borg restic duplicity rsnapshot rdiff-backup timeshift snapper dd
    """
)
_OLD_FILES = re.compile(r"-(delete|exec\s+rm)|\bxargs\b.*\brm\b")


def reason(command: Command, schedule: Schedule) -> str:
    """Return why an entry does not belong on the platform, "" if it does."""
    for check in _CHECKS:
        for words in command.programs:
            if words and (found := check(words)):
                return found
    if _ALIVE.search(command.whole) and _only(command, ("echo", "touch", "date", "printf", "logger")):
        return "it only shows that cron runs"
    return _too_often(schedule)


def _too_often(schedule: Schedule) -> str:
    if schedule.expression == "" or schedule.interval >= FREQUENT:
        return ""
    every = "every minute" if schedule.interval == 1 else f"every {schedule.interval} minutes"
    return f"it runs {every}, and a pod may take longer to start: run it as a service (a Deployment), or less often"


def _only(command: Command, names: Iterable[str]) -> bool:
    return all(_base(words[0]) in names for words in command.programs if words)


def _program(words: Sequence[str]) -> str:
    program = _base(words[0])
    if program == "run-parts" and len(words) > 1 and not words[-1].startswith("/etc"):
        return ""
    return _PROGRAMS.get(program, "")


def _service(words: Sequence[str]) -> str:
    if _SERVICE_VERBS.search(" ".join(words)) and _base(words[0]) in ("docker", "docker-compose", "podman"):
        return "it manages containers of the machine"
    return ""


def _script(words: Sequence[str]) -> str:
    named = (
        words[1]
        if _base(words[0]) in ("sh", "bash", "python", "python3", "php", "perl") and len(words) > 1
        else words[0]
    )
    match = _SCRIPT.search(_base(named))
    return f"by its name, '{_base(named)}' looks after the machine" if match else ""


def _backup(words: Sequence[str]) -> str:
    if _base(words[0]) not in _ARCHIVERS:
        return ""
    if any(_SYSTEM_PATHS.match(word) for word in words[1:]):
        return "it backs up files of the machine"
    return ""


def _cleaning(words: Sequence[str]) -> str:
    text = " ".join(words)
    if _base(words[0]) == "find" and _OLD_FILES.search(text):
        return "it deletes old files of the machine"
    if _base(words[0]) in ("rm", "truncate") and re.search(r"/(tmp|log|logs|cache)\b|\.log\b", text):
        return "it deletes old files of the machine"
    if _base(words[0]) == "tail" and re.search(r"\.log\b", text) and "-f" not in words:
        return "it shortens a log of the machine"
    if _base(words[0]) == "sync" or "drop_caches" in text:
        return "it empties caches of the machine"
    return ""


def _deploys(words: Sequence[str]) -> str:
    if _base(words[0]) == "git" and any(word in ("pull", "fetch", "reset") for word in words[1:4]):
        return "it updates code on the machine with git; an image has its code"
    return ""


_CHECKS: tuple[Callable[[Sequence[str]], str], ...] = (_program, _service, _script, _backup, _cleaning)


def code_update(command: Command) -> str:
    """Return why a part of a command is not needed with an image, "" if all of it is."""
    return next((found for words in command.programs if words and (found := _deploys(words))), "")


def _base(path: str) -> str:
    return path.rpartition("/")[2]
