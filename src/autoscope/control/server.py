"""The control socket of a traced process: one line of JSON asks, one line answers.

It is served by the drain's thread, a few times a second, and never waits for anybody: what cannot be read or sent at once is
gone on with the next time. A client that asks for what there is not, too much, or nothing gets an error, or is hung up on.
Nothing listens on a network; the directory is the user's alone, and who connects must be the same user, or root.
"""

from __future__ import annotations

import errno
import os
import struct

from autoscope.control import place
from autoscope.errors import AutoscopeError, notice
from autoscope.ours import keep_builtins
from autoscope.runtime.library import library, system
from autoscope.runtime.sigterm import HIGH
from autoscope.runtime.spans import Clock

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Verb = Callable[[dict[str, Any], Callable[[Any], None]], Any]

MOST_BYTES = 64 * 1024
"""Length of a request."""
MOST_CLIENTS = 16
PATIENCE_SECONDS = 5.0
"""So long a client may take over its request, and over reading what it is answered."""
TURN_SECONDS = 0.1
"""So long clients are served in a row."""
LATER = object()
"""What a verb answers that will do so later."""


class Client:
    """One connection."""

    __slots__ = ("came", "connection", "inode", "left", "request", "waiting")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.inode = system.fstat(connection.fileno()).st_ino
        self.came = Clock.monotonic()
        self.request = b""
        self.left: bytes | None = None
        """What is still to be sent; None: nothing was answered yet."""
        self.waiting = False
        """Its answer will come later; see `LATER`."""


class Server:
    """`verbs` gives, when the first request is there: name -> what answers it, given that and a function that sends an answer later."""

    def __init__(self, verbs: Callable[[], dict[str, Verb]]) -> None:
        self.verbs = verbs
        self.clients: list[Client] = []
        self.listening: Any = None
        self.inode = 0
        self.path = ""

    def open(self) -> None:
        """Listen. Raises OSError where that cannot be."""
        sockets = library("_socket")
        user = system.geteuid()
        folder = place.directory(os.environ, user)
        try:
            system.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        if not place.trusted(folder, user):
            raise PermissionError(
                errno.EPERM, "it must be a directory of the user's that nobody else may enter", folder
            )
        path = f"{folder}/{system.getpid()}.sock"
        unready = f"{folder}/.{system.getpid()}"
        listening = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        try:
            try:
                system.unlink(unready)  # of a process before us that had our number
            except FileNotFoundError:
                pass
            listening.bind(unready)
            listening.listen(MOST_CLIENTS)
            system.rename(unready, path)  # who sees it is answered
            fcntl = library("fcntl")
            high = fcntl.fcntl(listening.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH)
            self.listening = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM, 0, high)
        finally:
            listening.close()
        self.listening.setblocking(False)
        self.inode = system.fstat(self.listening.fileno()).st_ino
        self.path = path

    def close(self, remove: bool = True) -> None:
        """Hang up on everybody. `remove`: the socket's file too, which in a forked child is the parent's."""
        if self.listening is None:
            return
        for client in self.clients:
            if is_still(client.connection, client.inode):
                self.hang_up(client)
            else:
                client.connection.detach()
        self.clients.clear()
        if is_still(self.listening, self.inode):
            self.listening.close()
        else:
            self.listening.detach()
        self.listening = None
        if remove:
            try:
                system.unlink(self.path)
            except OSError:
                pass

    def poll(self) -> None:
        """Go on with whatever can be gone on with now."""
        if self.listening is None:
            return
        if not is_still(self.listening, self.inode):
            self.close()
            return
        while len(self.clients) < MOST_CLIENTS:
            try:
                descriptor, _ = self.listening._accept()
            except OSError:
                break
            self.welcome(descriptor)
        # What is asked may take a while, and the thread has records to hand over: who is not served now is the first next time.
        until = Clock.monotonic() + TURN_SECONDS
        left, self.clients = self.clients, []
        while left and Clock.monotonic() < until:
            client = left.pop(0)
            if self.serve(client):
                self.clients.append(client)
        self.clients = left + self.clients

    def welcome(self, descriptor: int) -> None:
        sockets = library("_socket")
        fcntl = library("fcntl")
        try:
            high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH)
        finally:
            system.close(descriptor)
        connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM, 0, high)
        connection.setblocking(False)
        if hasattr(sockets, "SO_PEERCRED"):
            peer = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, struct.calcsize("3i"))
            if struct.unpack("3i", peer)[1] not in (0, system.geteuid()):
                connection.close()
                return
        self.clients.append(Client(connection))

    def serve(self, client: Client) -> bool:
        """Whether there is more to be done for a client."""
        if not is_still(client.connection, client.inode):
            client.connection.detach()
            return False
        try:
            if client.left is None and not client.waiting:
                self.read(client)
            if client.waiting:
                # It says nothing more: the end of its side means that nobody is waiting any longer.
                try:
                    if not client.connection.recv(1):
                        self.hang_up(client)
                        return False
                except BlockingIOError:
                    pass
                return True
            if client.left:
                try:
                    client.left = client.left[client.connection.send(client.left) :]
                except BlockingIOError:
                    pass
            if client.left == b"" or Clock.monotonic() - client.came > PATIENCE_SECONDS:
                self.hang_up(client)
                return False
        except OSError:
            self.hang_up(client)
            return False
        return True

    def read(self, client: Client) -> None:
        while client.left is None:
            try:
                more = client.connection.recv(MOST_BYTES)
            except BlockingIOError:
                return
            client.request += more
            line, end, _ = client.request.partition(b"\n")
            if end:
                self.answer(client, line)
                return
            if not more:
                raise ConnectionResetError  # it went away in the middle of its request
            if len(client.request) > MOST_BYTES:
                self.reply(client, {"error": f"a request has at most {MOST_BYTES} bytes"})

    def answer(self, client: Client, line: bytes) -> None:
        json = library("json")
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            self.reply(client, {"error": "a request is one line of JSON"})
            return
        verb = request.get("verb") if isinstance(request, dict) else None
        verbs = self.verbs()
        asked = verbs.get(verb) if isinstance(verb, str) else None
        if asked is None:
            self.reply(client, {"error": f"no such verb: it is one of {', '.join(verbs)}"})
            return
        try:
            found = asked(request, lambda later: self.reply(client, later))
        except AutoscopeError as error:
            found = {"error": str(error)}
        except Exception as error:
            if "AUTOSCOPE_STRICT" in os.environ:
                notice("control-failed", f"{verb}: {type(error).__name__}: {error}")
            found = {"error": f"{type(error).__name__}: {error}"}
        if found is LATER:
            client.waiting = True
        else:
            self.reply(client, found)

    def reply(self, client: Client, answer: Any) -> None:
        client.waiting = False
        client.came = Clock.monotonic()
        client.left = library("json").dumps(answer).encode("ascii") + b"\n"

    def hang_up(self, client: Client) -> None:
        try:
            client.connection.close()
        except OSError:
            pass


def is_still(connection: Any, inode: int) -> bool:
    """Whether a descriptor is the socket it was: a program may close all it finds, and the number become a file of its own."""
    try:
        return bool(system.fstat(connection.fileno()).st_ino == inode)
    except OSError:
        return False
