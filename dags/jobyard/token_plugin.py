"""An exec plugin for a kubeconfig: it prints the credential that another command makes, and keeps it for the next call.

    python3 -I -S token_plugin.py -- aws eks get-token --cluster-name jobyard-prod ...

A program of its own, which imports nothing of the library: the kubeconfig names this file, beside itself in the bucket.
Most calls find a credential that is kept, so `json` and `subprocess` are imported only by the others: to import them
takes longer than all else here.

A credential is kept in a file of its own for each command, in a folder that only the user has access to:
`JOBYARD_TOKEN_CACHE`, or `jobyard-tokens-<uid>` in the folder for temporary files. It can't be kept if that folder is
somebody else's, can't be written or is full; then the command runs at every call, and standard error says why.
"""

import os
import sys
import time

MARGIN = 60
"""Seconds: a credential with less time left is renewed before it is used."""
EARLY = 330
"""Seconds before its expiry at which a credential is renewed, or half of its life if that is shorter: in the last five
minutes, Kubernetes' clients for Python ask for a new one at every request."""
WAIT = 30.0
"""Seconds to wait for another process that runs the same command; it takes one second, or many on a busy machine."""
LARGEST = 1 << 20
"""Bytes of the largest file that is read."""
FORM = b"jobyard-token-1"
"""First word of a kept file: its form."""
API_GROUP = "client.authentication.k8s.io/"
UNUSED_FOR = 86400
"""Seconds after which a file that nothing has written is removed."""


class Kept:
    """A credential as it was printed, with when to renew it and when it expires, in seconds since 1970."""

    def __init__(self, renew: int = 0, expires: int = 0, answer: bytes = b"") -> None:
        self.renew, self.expires, self.answer = renew, expires, answer

    @property
    def is_fresh(self) -> bool:
        """Return whether it needs no renewal."""
        return time.time() < self.renew

    def is_valid(self, margin: int = 0) -> bool:
        """Return whether it does not expire within that many seconds."""
        return time.time() + margin < self.expires


def main(arguments: list[str]) -> int:
    """Print the credential of the command after `--`; return the exit code."""
    if arguments[:1] != ["--"] or len(arguments) == 1:
        note("usage: python3 -I -S token_plugin.py -- COMMAND [ARGUMENT ...]")
        return 2
    command = arguments[1:]
    try:
        folder = open_folder()
    except OSError as error:
        note_unkept(error)
        code, answer = run(command)
        return show(answer, code)
    try:
        return answer_from(folder, command)
    finally:
        os.close(folder)


def answer_from(folder: int, command: list[str]) -> int:
    """Print the credential that is kept in the folder, or a new one; return the exit code."""
    name = name_of(command)
    kept = read(folder, name)
    if kept.is_fresh:
        return show(kept.answer)
    # While the old one is good, nobody waits for the one process that renews it.
    lock = take_lock(folder, name, 0 if kept.is_valid(MARGIN) else WAIT)
    try:
        kept = read(folder, name)
        if kept.is_fresh or (lock < 0 and kept.is_valid(MARGIN)):
            return show(kept.answer)
        return renew(folder, name, command, kept)
    finally:
        if lock >= 0:
            os.close(lock)


def renew(folder: int, name: str, command: list[str], kept: Kept) -> int:
    """Run the command and print its answer, or the old credential if it fails and that is valid; return its exit code.

    The exit code is 0 where the old credential is printed.
    """
    code, answer = run(command)
    if code:
        if kept.is_valid():
            note(f"the command failed with {code}; the credential from before is still valid")
            return show(kept.answer)
        return show(answer, code)
    try:
        keep(folder, name, answer)
    except OSError as error:
        note_unkept(error)
    return show(answer)


def run(command: list[str]) -> tuple[int, bytes]:
    """Run the command; return its exit code, as a shell gives it, and what it prints. It shares standard error."""
    import subprocess

    try:
        # Clients start this in different folders. In a fixed one, all of them get the same answer.
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd="/", check=False)
    except OSError as error:
        note(f"{command[0]}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126, b""
    return done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout


def name_of(command: list[str]) -> str:
    """Return the name of the command's file, which all that the answer depends on is part of."""
    parts = [str(len(command)), *command, answer_form(os.environ.get("KUBERNETES_EXEC_INFO", ""))]
    for variable, value in sorted(os.environ.items()):
        if variable in ("HOME", "PATH") or variable.startswith("AWS_"):
            parts.append(f"{variable}={value}")
    return digest(os.fsencode("\0".join(parts)))


def answer_form(info: str) -> str:
    """Return which version of the answer a client asks for; all that it says if it describes its cluster, too."""
    if '"cluster"' in info:
        return info
    return info.partition(API_GROUP)[2].partition('"')[0]


def digest(content: bytes) -> str:
    """Return the content's SHA-256; Python's own implementation takes a tenth of the time of OpenSSL's to import."""
    try:
        # Python 3.12 and newer.
        from _sha2 import sha256  # type: ignore[import-not-found]
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256
    return str(sha256(content).hexdigest())


def open_folder() -> int:
    """Open the folder of the credentials, and make it if it does not exist; return its descriptor.

    Everything in it is reached through the descriptor, so nobody can put another folder in its place.

    Raises:
        OSError: it can't be made, is not a folder, or others have access to it.
    """
    folder = os.environ.get("JOBYARD_TOKEN_CACHE", "").rstrip("/") or default_folder()
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        opened = os.open(folder, flags)
    except FileNotFoundError:
        os.makedirs(folder, 0o700, exist_ok=True)
        opened = os.open(folder, flags)
    try:
        refuse_others(os.fstat(opened), folder)
    except OSError:
        os.close(opened)
        raise
    return opened


def default_folder() -> str:
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the folder is refused if it is not the user's own
    return f"{temporary}/jobyard-tokens-{os.geteuid()}"


def refuse_others(status: os.stat_result, name: str) -> None:
    """Refuse what others own or have access to.

    Raises:
        PermissionError: they do.
    """
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{name} belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o077:
        raise PermissionError(f"{name} is open to other users: its mode is {status.st_mode & 0o777:04o}, not 0700")


def read(folder: int, name: str) -> Kept:
    """Return what is kept under that name; nothing if it can't be used."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return Kept()
    try:
        refuse_others(os.fstat(file), name)
        return parsed(os.read(file, LARGEST))
    except (OSError, ValueError):
        return Kept()
    finally:
        os.close(file)


def parsed(content: bytes) -> Kept:
    """Return what a file's content says: a line with the form, three times and the answer's size, then the answer.

    Raises:
        ValueError: it is not of that form, not complete, or from the future, as after the clock was set back.
    """
    head, _, answer = content.partition(b"\n")
    form, *numbers = head.split(b" ")
    made, renew_at, expires, size = (int(number) for number in numbers)
    if form != FORM or size != len(answer) or made > time.time():
        raise ValueError(head)
    return Kept(renew_at, expires, answer)


def keep(folder: int, name: str, answer: bytes) -> None:
    """Keep the command's answer if it is a credential that expires.

    Raises:
        OSError: the file can't be written.
    """
    made, expires = int(time.time()), expiry(answer)
    if expires <= made:
        return
    renew_at = expires - max(MARGIN, min(EARLY, (expires - made) // 2))
    head = b"%s %d %d %d %d\n" % (FORM, made, renew_at, expires, len(answer))
    new = f"{name}.{os.getpid()}.{time.time_ns()}.new"
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(head + answer)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(new, dir_fd=folder)
        raise
    remove_unused(folder)


def remove_unused(folder: int) -> None:
    """Remove what was written long ago: another variable, such as a new key of AWS, gives the command another name."""
    try:
        for name in os.listdir(folder):
            if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > UNUSED_FOR:
                os.unlink(name, dir_fd=folder)
    except OSError:
        # Another process does the same. What is left is removed after the next renewal.
        return


def expiry(answer: bytes) -> int:
    """Return when the credential expires, in seconds since 1970; 0 if it does not say so, or is none."""
    import json
    from datetime import datetime

    try:
        credential = json.loads(answer)
        if credential["kind"] != "ExecCredential" or not credential["apiVersion"].startswith(API_GROUP):
            return 0
        moment = datetime.fromisoformat(credential["status"]["expirationTimestamp"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0
    return int(moment.timestamp()) if moment.tzinfo else 0


def take_lock(folder: int, name: str, seconds: float) -> int:
    """Return the descriptor of the command's lock, which its end releases; -1 if another process holds it that long.

    Without a lock the command runs all the same, only perhaps more often: -1, too, where there can't be one.
    """
    import fcntl

    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock = os.open(f"{name}.lock", flags, 0o600, dir_fd=folder)
    except OSError:
        return -1
    last = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError as error:
            if not isinstance(error, BlockingIOError) or time.monotonic() >= last:
                os.close(lock)
                return -1
        time.sleep(0.05)


def show(answer: bytes, code: int = 0) -> int:
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return code


def note(text: str) -> None:
    print(f"jobyard: {text}", file=sys.stderr)


def note_unkept(error: OSError) -> None:
    note(f"credentials are not kept, so each call takes longer: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
