"""Import a crontab: jobs for its entries, and an outcome for each of its lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from jobyard import limits

from jobyard_cli.check.findings import printable, unknown
from jobyard_cli.errors import UsageError
from jobyard_cli.importing import chains, housekeeping, jobs
from jobyard_cli.importing.commands import Command, read_command
from jobyard_cli.importing.lines import Entry, Kind, Line, read_lines
from jobyard_cli.importing.model import TODO, Fate, Imported, JobDraft, NewFile, Outcome, TaskDraft
from jobyard_cli.importing.names import names_of, program_of, slug
from jobyard_cli.importing.secrets import Vault
from jobyard_cli.importing.settings import Settings
from jobyard_cli.importing.shell import INSIDE, PLAIN, outline
from jobyard_cli.importing.skeletons import Skeletons
from jobyard_cli.importing.source import Source
from jobyard_cli.importing.users import Form
from jobyard_cli.importing.words import word_set

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)[^}]*\}|([A-Za-z_]\w*))")
_DEFINED = re.compile(
    r"(?:^|[\s;&|(])(?:export\s+|local\s+|read\s+(?:-\w+\s+)?|for\s+)?([A-Za-z_]\w*)(?:=|\s+in\s)|\bread\s+(?:-\w+\s+)*(\w+)"
)
_OF_THE_SHELL = word_set(
    """
    HOME PATH PWD OLDPWD USER LOGNAME SHELL HOSTNAME RANDOM SECONDS IFS UID EUID PPID BASHPID LINENO TMPDIR LANG
    LC_ALL BASH_SOURCE PIPESTATUS BASH_VERSION EPOCHSECONDS NR NF FS OFS
    """
)


class UnknownEntryError(UsageError):
    """An option names a line or a job that the crontab does not have."""


@dataclass(frozen=True)
class Options:
    """What a person decides about an import. `include` has lines to import although leaving them out is proposed."""

    timezone: str = "UTC"
    image: str = ""
    secret: str = ""
    include: frozenset[int] = frozenset()
    include_all: bool = False
    chains: tuple[tuple[str, ...], ...] = ()
    form: Form = Form.auto
    known_images: frozenset[str] = frozenset()


@dataclass
class _Import:
    source: Source
    options: Options
    vault: Vault = field(default_factory=Vault)
    settings: Settings = field(default_factory=Settings)
    tasks: list[TaskDraft] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.skeletons = Skeletons(self.source.folder, self.options.known_images)


def import_crontab(source: Source, options: Options) -> Imported:
    """Return the jobs of a crontab, and what became of each line. Nothing is written.

    Raises:
        UnknownEntryError: an option names a line or job that the crontab does not have.
    """
    state = _Import(source, options)
    lines = read_lines(source.lines, options.form, source.name)
    # A command names a secret better than a comment does.
    for line in sorted(lines, key=lambda line: line.kind in (Kind.comment, Kind.disabled)):
        state.vault.collect(line.text, line.number)
    for line in lines:
        state.outcomes.append(_outcome(state, line))
    _require_lines(options, state.outcomes)
    state.tasks = _with_names(state.tasks)
    steps = list(_steps(state.tasks))
    drafts = list(_drafts(state))
    outcomes = [_safe(outcome, state.vault) for outcome in _named(state.outcomes, drafts)]
    files = [NewFile(f"dags/{job.name}/job.yaml", job.text.encode("utf-8", "replace")) for job in drafts]
    joined = {name for names in options.chains for name in names}
    found = [chain for chain in chains.find(steps) if not joined.intersection(step.name for step in chain.steps)]
    return Imported(
        source.name,
        outcomes,
        drafts,
        [*files, *state.skeletons.files()],
        found,
        state.vault.secrets,
        [*source.notes, *_notes(state)],
    )


def _outcome(state: _Import, line: Line) -> Outcome:
    made = Outcome(line.number, line.text, Fate.comment, notes=line.notes)
    match line.kind:
        case Kind.blank:
            return replace(made, fate=Fate.blank)
        case Kind.comment:
            return made
        case Kind.wrapper:
            return replace(made, fate=Fate.left_out, reason="it belongs to the script around the crontab")
        case Kind.setting:
            reason, notes = state.settings.take(line.name, line.value, line.number, state.vault)
            return replace(made, fate=Fate.setting, reason=reason, notes=(*line.notes, *notes))
        case Kind.unreadable:
            return replace(made, fate=Fate.unreadable, reason=line.problem, column=line.column)
        case Kind.disabled if line.number not in state.options.include:
            return replace(made, fate=Fate.left_out, reason=f"it is commented out (--include {line.number} imports it)")
    assert line.entry is not None
    return _entry(state, made, line.entry)


def _entry(state: _Import, made: Outcome, entry: Entry) -> Outcome:
    if entry.user:
        state.users.add(entry.user)
    written, secrets = state.vault.without_secrets(entry.command, made.number)
    command = read_command(written, state.settings.shell, [*state.settings.env, *secrets])
    wanted = state.options.include_all or made.number in state.options.include
    if (earlier := _repeated(state, entry, made.number)) and not wanted:
        return replace(made, fate=Fate.left_out, reason=f"it is the same as line {earlier}")
    if entry.schedule.never:
        reason = f"it never runs: no date matches '{entry.schedule.written}'"
        return replace(made, fate=Fate.left_out, reason=reason)
    reason = _why_not(entry, command)
    if reason and not wanted:
        return replace(made, fate=Fate.proposed, reason=reason)
    task = _task(state, made, entry, command, secrets)
    state.tasks.append(task)
    notes = (*made.notes, *entry.schedule.notes, *command.notes, *_extra_notes(command, reason))
    update = housekeeping.code_update(command)
    looks = (*command.doubts, update) if update else command.doubts
    # The image and the Secret are missing in most lines: the next steps and the check name them.
    return replace(made, fate=Fate.imported, notes=notes, looks=(*looks, *task.decisions))


def _repeated(state: _Import, entry: Entry, number: int) -> int:
    """Return the number of an earlier line with the same schedule and command, 0 without one."""
    first = state.seen.setdefault((entry.schedule.written, entry.command), number)
    return first if first != number else 0


def _why_not(entry: Entry, command: Command) -> str:
    if entry.schedule.written.lower() == "@reboot":
        return "it runs when the machine starts, and a pod's machine starts for each task: a service is a Deployment"
    return housekeeping.reason(command, entry.schedule)


def _task(state: _Import, made: Outcome, entry: Entry, command: Command, secrets: Sequence[str]) -> TaskDraft:
    options, settings = state.options, state.settings
    folder = _folder(command)
    own = command.local_image if command.local_image in options.known_images else ""
    image = command.image or own or options.image or state.skeletons.image_for(program_of(command), folder)
    decisions: list[str] = []
    references = _references(state, command, secrets)
    unset = [variable for variable, reference in references.items() if variable not in (*secrets, *settings.secrets)]
    decisions += [
        f"${variable} is not set in the crontab: name a Secret in secrets, or set it in env" for variable in unset
    ]
    todos = _image_todo(command, image) + decisions
    decisions += _decisions(entry)
    named = [variable for variable in references if variable not in unset]
    if named and not options.secret:
        todos.append(f"name the Kubernetes Secret, and its key, of {', '.join(named)}")
    return TaskDraft(
        "",
        made.number,
        state.vault.redacted(made.text),
        entry.schedule,
        settings.timezone or options.timezone,
        command,
        printable(state.vault.redacted(entry.comment)),
        entry.comment_lines,
        settings.env,
        references,
        settings.recipients,
        image or TODO,
        tuple(todos),
        tuple(decisions),
        folder,
    )


def _extra_notes(command: Command, reason: str) -> Iterator[str]:
    """Yield what the image must have, and that an entry is imported against a proposal."""
    paths = [path for path in (_folder(command), program_of(command)) if _is_own(path)]
    if paths and not command.image:
        # A program in the folder needs no mention of its own.
        needed = paths[:1] if len(paths) > 1 and paths[1].startswith(paths[0]) else paths
        yield f"the image must have {' and '.join(needed)}"
    if reason:
        yield f"although {reason}"


def _is_own(path: str) -> bool:
    return path.startswith("/") and not _SYSTEM_FOLDER.match(path) and path != "/"


def _folder(command: Command) -> str:
    """Return the folder that a command enters, or else that of its program; "" if it names none."""
    for words in command.programs:
        if words[:1] == ("cd",) and len(words) > 1:
            return words[1].rstrip("/") or "/"
    return program_of(command).rpartition("/")[0]


def _image_todo(command: Command, image: str) -> list[str]:
    if image:
        return []
    what = f"that of {command.image_of}, " if command.image_of else ""
    return [f"name the image: {what}a folder of images/ or an address (or import again with --image)"]


def _decisions(entry: Entry) -> Iterator[str]:
    """Yield what only a person can decide about an entry."""
    if entry.schedule.problem and not entry.schedule.written.startswith("@"):
        yield f"choose the schedule: {entry.schedule.problem}"


def _references(state: _Import, command: Command, secrets: Sequence[str]) -> dict[str, str]:
    """Return the variables that come from a Secret: found ones, and those that nothing sets."""
    references = {}
    for name in dict.fromkeys([*secrets, *state.settings.secrets]):
        references[name] = f"{state.options.secret}/{name}" if state.options.secret else TODO
    for name in _unset(command, {*state.settings.env, *command.env, *references}):
        references[name] = TODO
    return references


def _unset(command: Command, known: Iterable[str]) -> list[str]:
    text = command.text
    marks = outline(text).marks
    defined = {name for match in _DEFINED.finditer(text) for name in match.groups() if name}
    names = []
    for match in _VARIABLE.finditer(text):
        name = match[1] or match[2]
        if marks[match.start()] in (PLAIN, INSIDE, '"') and name not in _OF_THE_SHELL and ":-" not in match[0]:
            names.append(name)
    return [name for name in dict.fromkeys(names) if name not in defined and name not in set(known)]


def _with_names(tasks: Sequence[TaskDraft]) -> list[TaskDraft]:
    names = names_of([task.command for task in tasks], [_clock(task) for task in tasks])
    return [replace(task, name=name) for task, name in zip(tasks, names, strict=True)]


def _clock(task: TaskDraft) -> str:
    """Return the time of day at which a task runs, as `0215`; "" if there are several."""
    if len(task.schedule.minutes) != 1:
        return ""
    hour, minute = divmod(task.schedule.minutes[0], 60)
    return f"{hour:02}{minute:02}"


def _steps(tasks: Sequence[TaskDraft]) -> Iterator[chains.Step]:
    """Yield the entries that have a clock, and that run every hour at most."""
    for task in tasks:
        if task.schedule.expression and task.schedule.interval >= 60:
            yield chains.Step(
                task.name,
                task.line,
                task.schedule.minutes,
                task.schedule.days,
                task.timezone,
                task.folder,
                program_of(task.command).rpartition("/")[2],
                task.command.whole,
                task.comment,
            )


def _drafts(state: _Import) -> Iterator[JobDraft]:
    """Yield the jobs: a chain that a person wants joined is one, where its first entry was."""
    tasks = {task.name: task for task in state.tasks}
    chain_of: dict[str, tuple[str, ...]] = {}
    for names in state.options.chains:
        _require_chain(names, tasks, chain_of)
        chain_of.update(dict.fromkeys(names, names))
    done: set[str] = set()
    for name, task in tasks.items():
        if name in done:
            continue
        names = chain_of.get(name, (name,))
        done.update(names)
        members = [tasks[member] for member in names] if len(names) > 1 else [task]
        yield jobs.draft(_chain_name(names), list(_with_shared_files(members)), state.source.name)


def _with_shared_files(members: Sequence[TaskDraft]) -> Iterator[TaskDraft]:
    """Yield the tasks of a job; what to look at in one says which file it names that an earlier one names, too."""
    for number, task in enumerate(members):
        looks = list(_shared_files(members[:number], task))
        yield replace(task, command=replace(task.command, doubts=(*task.command.doubts, *looks)))


def _shared_files(earlier: Sequence[TaskDraft], task: TaskDraft) -> Iterator[str]:
    for other in earlier:
        file = chains.shared_file(other.command.whole, task.command.whole)
        # An address on S3 is found without the bucket.
        if file and not file.startswith("//"):
            yield (
                f"task '{other.name}' names {file}, too, and the pods of two tasks share no disk: pass it on S3, or as "
                f"the output of '{other.name}'"
            )


def _chain_name(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return slug(f"{names[0][:22]} to {names[-1]}")[: limits.NAME].rstrip("-")


def _require_chain(names: Sequence[str], tasks: dict[str, TaskDraft], used: dict[str, tuple[str, ...]]) -> None:
    if len(names) < 2:
        raise UnknownEntryError("--chain must have at least two jobs, separated by commas, such as features,inference")
    for name in names:
        if name not in tasks:
            raise UnknownEntryError(unknown("job", name, tasks, "the crontab gives"))
        if name in used or names.count(name) > 1:
            raise UnknownEntryError(f"--chain must have each job once; got '{name}' again")
    zones = {tasks[name].timezone for name in names}
    if len(zones) > 1:
        raise UnknownEntryError(f"--chain must have jobs of one time zone; got {', '.join(sorted(zones))}")


def _require_lines(options: Options, outcomes: Sequence[Outcome]) -> None:
    entries = {outcome.number for outcome in outcomes if outcome.fate in (Fate.imported, Fate.proposed, Fate.left_out)}
    for number in sorted(options.include):
        if number not in entries:
            raise UnknownEntryError(f"--include must be the number of a line with an entry; got {number}")


def _named(outcomes: Sequence[Outcome], drafts: Sequence[JobDraft]) -> Iterator[Outcome]:
    """Yield the outcomes with the jobs' names, where a chain has become one job."""
    job_of: dict[int, str] = {}
    described: dict[int, str] = {}
    doubts: dict[int, tuple[str, ...]] = {}
    for job in drafts:
        job_of.update(dict.fromkeys(job.lines, job.name))
        for task in job.tasks:
            described.update(dict.fromkeys(task.comment_lines, job.name))
            doubts[task.line] = task.command.doubts
    for outcome in outcomes:
        if name := described.get(outcome.number):
            outcome = replace(outcome, reason=f"in the description of {name}")
        # Some are known only once entries are joined.
        looks = tuple(dict.fromkeys((*outcome.looks, *doubts.get(outcome.number, ()))))
        yield replace(outcome, job=job_of.get(outcome.number, ""), looks=looks)


def _safe(outcome: Outcome, vault: Vault) -> Outcome:
    """Return an outcome in which no text has a secret."""
    return replace(
        outcome,
        text=printable(vault.redacted(outcome.text).expandtabs(2)),
        reason=vault.redacted(outcome.reason),
        notes=tuple(map(vault.redacted, outcome.notes)),
        looks=tuple(map(vault.redacted, outcome.looks)),
    )


def _notes(state: _Import) -> Iterator[str]:
    fates = {outcome.fate for outcome in state.outcomes}
    if Fate.unreadable in fates and fates.isdisjoint((Fate.imported, Fate.proposed)):
        yield "it has no entry to import: a crontab is what `crontab -l` prints, or a file such as /etc/crontab"
    if state.users:
        users = ", ".join(sorted(state.users))
        yield f"the entries have a column of users ({users}), which is left out: a pod runs as the user of its image"
    if state.tasks and not state.settings.timezone:
        if state.options.timezone == "UTC":
            yield "times are read as UTC; if `timedatectl` shows another zone on the machine, give it with --timezone"
        yield from _zone_hint(state)
    yield from state.skeletons.kept_back


def _zone_hint(state: _Import) -> Iterator[str]:
    for outcome in state.outcomes:
        named = _ZONE.search(outcome.text) if outcome.fate is Fate.comment else None
        if named and named[0] != state.options.timezone:
            yield f"a comment in line {outcome.number} names the zone {named[0]}"
            return


_SYSTEM_FOLDER = re.compile(r"/(usr/)?(local/)?s?bin(/|$)|/(etc|tmp|dev|proc)(/|$)|/usr/?$")
_ZONE = re.compile(
    r"\b((?:Africa|America|Asia|Atlantic|Australia|Europe|Pacific)/[A-Z]\w+|UTC|GMT|[PMCE][SD]T|CES?T|BST|IST|JST|KST|HKT|SGT|"
    r"AE[SD]T|BRT|WIB|MSK)\b"
)
