"""The command line's side of the control sockets: which traced processes there are, and asking them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autoscope.control import place
from autoscope.errors import AutoscopeError
from autoscope.ours import keep_builtins

keep_builtins(globals())

ANSWER_SECONDS = 5.0
"""So long a process is given to answer; one that computes in C without letting go answers no sooner than it does."""
MOST_BYTES = 64 * 1024 * 1024
MOST_AT_ONCE = 64
"""Processes that are asked at the same time."""


class Gone(Exception):
    """Nobody listens on a socket any longer."""


def directories() -> list[str]:
    """Where this user's processes have their sockets; for root, everybody's."""
    user = os.geteuid()
    found = {
        place.directory(os.environ, user): None,
        f"/tmp/autoscope-{user}": None,
        f"/run/user/{user}/autoscope": None,
    }
    if user == 0:
        for path in (*Path("/tmp").glob("autoscope-*"), *Path("/run/user").glob("*/autoscope")):
            found[str(path)] = None
    return [path for path in found if os.path.isdir(path) and _owned(path)]


def _owned(path: str) -> bool:
    """A directory of somebody else's may hold anything: only its owner may be asked, or root, who asks of each its owner."""
    owner = os.lstat(path).st_uid
    return place.trusted(path, owner) and (owner == os.geteuid() or os.geteuid() == 0)


def sockets() -> list[tuple[int, str]]:
    """(process id, path) of every socket there is, whether anybody listens or not."""
    found = []
    for folder in directories():
        for name in os.listdir(folder):
            stem, dot, end = name.partition(".")
            if stem.isdigit() and (dot, end) == (".", "sock"):
                found.append((int(stem), f"{folder}/{name}"))
    return sorted(found)


def ask(path: str, request: dict[str, Any], seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
    """One question, one answer. Raises Gone where nobody listens, AutoscopeError for a refusal or no answer in time."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            parts = []
            size = 0
            while part := connection.recv(1 << 16):
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise AutoscopeError(f"{path}: the answer is too long")
        except (ConnectionRefusedError, FileNotFoundError, ConnectionResetError, BrokenPipeError):
            raise Gone(path) from None
        except TimeoutError:
            raise AutoscopeError(
                f"process {Path(path).stem} did not answer in {seconds:g} s: it may be stopped, or busy in code that lets no "
                "other thread run; ask again"
            ) from None
        except OSError as error:
            raise AutoscopeError(f"{path}: {error.strerror or error}") from None
    if not parts:
        raise Gone(path)
    try:
        answer = json.loads(b"".join(parts))
    except ValueError:
        raise AutoscopeError(f"{path}: no answer of autoscope's") from None
    if not isinstance(answer, dict):
        raise AutoscopeError(f"{path}: no answer of autoscope's")
    if "error" in answer:
        raise AutoscopeError(f"process {Path(path).stem}: {answer['error']}")
    return answer


def ask_all(
    paths: Sequence[str], request: dict[str, Any], seconds: float = ANSWER_SECONDS
) -> list[dict[str, Any] | Gone | AutoscopeError]:
    """The same of many at once, in this order: each answers when it looks round, up to half a second later."""
    from concurrent.futures import ThreadPoolExecutor

    def answer(path: str) -> dict[str, Any] | Gone | AutoscopeError:
        try:
            return ask(path, request, seconds)
        except (Gone, AutoscopeError) as error:
            return error

    if len(paths) < 2:
        return [answer(path) for path in paths]
    with ThreadPoolExecutor(min(len(paths), MOST_AT_ONCE)) as pool:
        return list(pool.map(answer, paths))


def processes() -> list[dict[str, Any]]:
    """What each traced process says of itself; sockets that nobody listens on are cleared away."""
    found: list[dict[str, Any]] = []
    paths = [path for _, path in sockets()]
    for path, answer in zip(paths, ask_all(paths, {"verb": "info"}), strict=True):
        if isinstance(answer, Gone):
            _clear(path)
        elif isinstance(answer, AutoscopeError):
            found.append({"pid": int(Path(path).stem), "socket": path, "unanswered": str(answer)})
        else:
            found.append({**answer, "socket": path})
    return found


def _clear(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # cleared by somebody else


def chosen(target: str | None, everybody: bool = False, service: str | None = None) -> list[dict[str, Any]]:
    """The processes a command means: by number (with all its children), by service, all, or the only one there is.

    Raises AutoscopeError where there is none.
    """
    there = processes()
    if not there:
        raise AutoscopeError("no traced process is running here as this user: start one with `autoscope run`")
    if everybody:
        return there
    if service is not None:
        found = [process for process in there if process.get("service") == service]
        if not found:
            known = sorted({process.get("service") or "" for process in there} - {""})
            raise AutoscopeError(f"no traced process has the service name {service}; there are {_listed(known)}")
        return found
    if target is None:
        if len(there) > 1:
            raise AutoscopeError(
                f"which process? {_listed(str(process['pid']) for process in there)}; `autoscope ps` tells more"
            )
        return there
    if not target.isdigit():
        raise AutoscopeError(f"{target} is no process id; `autoscope ps` lists them")
    wanted = {int(target)}
    parents = {process["pid"]: process.get("ppid", 0) for process in there}
    found = [process for process in there if wanted & _line(process["pid"], parents)]
    if not found:
        raise AutoscopeError(
            f"process {target} is not traced, or not this user's; there are {_listed(str(process['pid']) for process in there)}"
        )
    return found


def _line(pid: int, parents: dict[int, int]) -> set[int]:
    """A process and those it descends from."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = parents.get(pid) or _parent(pid)
    return found


def _parent(pid: int) -> int:
    """Of a process that is not traced itself, such as a shell in between."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return int(text.rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _listed(words: Iterable[str]) -> str:
    listed = list(words)
    return ", ".join(listed[:5]) + (", …" if len(listed) > 5 else "") if listed else "none"
