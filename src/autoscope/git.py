"""What git is asked: by the planner's goal `diff:`, and by `autoscope affected`. Text in, text out; nothing is changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from autoscope.errors import AutoscopeError

if TYPE_CHECKING:
    import subprocess

SECONDS = 60


def ask(directory: str, asked: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """What git answers. `asked` begins the message of the AutoscopeError where there is no git."""
    import subprocess

    try:
        return subprocess.run(["git", "-C", directory, *arguments], capture_output=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AutoscopeError(f"{asked}: git cannot be run: {error}; install git, or do without") from None


def insist(directory: str, asked: str, *arguments: str, way: str) -> bytes:
    """The same, where git must not refuse. Raises AutoscopeError with what it said, and `way`."""
    result = ask(directory, asked, *arguments)
    if result.returncode:
        said = result.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        said = "".join(char if char.isprintable() else "?" for char in said)
        raise AutoscopeError(f"{asked}: git refused: {said}; {way}")
    return result.stdout


def is_repository(directory: str, asked: str) -> bool:
    """Whether it is in the working tree of one."""
    return ask(directory, asked, "rev-parse", "--is-inside-work-tree").stdout.strip() == b"true"


def is_shallow(directory: str, asked: str) -> bool:
    """Whether the repository a directory is in has only the latest commits."""
    return ask(directory, asked, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def top_of(directory: str, asked: str) -> str:
    """The working tree a directory is in. Raises AutoscopeError where it is in none."""
    if not is_repository(directory, asked):
        raise AutoscopeError(f"{asked}: {directory} is in no git repository; go to one")
    return os.fsdecode(ask(directory, asked, "rev-parse", "--show-toplevel").stdout.rstrip(b"\n"))


def changed_since(top: str, revision: str, asked: str) -> dict[str, str | None]:
    """Files that differ between a revision and the working tree -> their name then, None where there was none.

    A file that is gone is there under its old name. New files that git does not know yet are among them, ignored ones are not.
    """
    if revision.startswith("-"):
        raise AutoscopeError(f"{asked}: that is no revision; give a branch, a tag or a commit, such as main")
    way = "give a revision git knows, such as main or HEAD~3"
    commit = insist(top, asked, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", way=way).strip().decode()
    out = insist(top, asked, "diff", "--name-status", "-z", "--no-renames", "--no-ext-diff", commit, "--", way=way)
    words = [os.fsdecode(word) for word in out.split(b"\0")]
    found: dict[str, str | None] = {}
    for status, name in zip(words[::2], words[1::2], strict=False):
        found[name] = None if status == "A" else name
    new = insist(top, asked, "ls-files", "--others", "--exclude-standard", "-z", way=way)
    found.update({os.fsdecode(name): None for name in new.split(b"\0") if name})
    return found


def text_at(top: str, revision: str, name: str, asked: str) -> bytes | None:
    """A file's content at a revision, None where it was not there."""
    result = ask(top, asked, "show", f"{revision}:{name}")
    return None if result.returncode else result.stdout
