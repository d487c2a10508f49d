"""The real binary as a child process, and a network in front of it that tests can cut."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable
from unittest import TestCase

#: The program that is tested.
BINARY = os.environ.get("BELLWIRE_BIN") or str(
    Path(__file__).parents[3] / "target" / "debug" / "bellwire"
)
#: Bounds how long a broken build can hang; nothing is measured against it.
PATIENCE_S = 60.0
_LOOK_INTERVAL_S = 0.02


class Server:
    """Fresh, on a port of its own, and gone when the test is over."""

    def __init__(self, test: TestCase, *flags: str, config: str = "", rules: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bellwire-python-"))
        test.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self._flags = list(flags)
        for flag, name, text in [
            ("--config", "bellwire.toml", config),
            ("--rules", "rules.yml", rules),
        ]:
            if text:
                (self.folder / name).write_text(text)
                self._flags += [flag, str(self.folder / name)]
        self._child: subprocess.Popen[bytes] | None = None
        self._listen = "127.0.0.1:0"
        self.url = ""
        self._log = open(self.folder / "output", "ab")  # noqa: SIM115
        test.addCleanup(self._log.close)
        test.addCleanup(self.kill)
        self.start()

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def start(self) -> None:
        """A second start takes the port of the first."""
        began = len(self.output)
        command = [
            BINARY,
            "serve",
            "--data",
            str(self.folder / "journal"),
            "--listen",
            self._listen,
        ]
        free = {
            name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")
        }
        child = self._child = subprocess.Popen(
            [*command, *self._flags], env=free, stdout=self._log, stderr=self._log
        )

        def listens() -> Any:
            if child.poll() is not None:
                raise AssertionError(f"the server ended by itself:\n{self.output}")
            return re.search(r"listening on (https?://\S+)", self.output[began:])

        self.url = eventually("the server", listens)[1]
        self._listen = self.url.split("//")[1]

    def kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()


class Wire:
    """A TCP proxy in front of a server."""

    def __init__(self, test: TestCase, server: Server) -> None:
        self._server = server
        #: Nothing of the server reaches clients, and nobody is told.
        self.is_mute = False
        #: How many connections there were.
        self.connections = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        test.addCleanup(self.cut)
        test.addCleanup(self._listener.close)

    @property
    def open_connections(self) -> int:
        return sum(near.fileno() >= 0 for near, _ in self._pairs)

    def cut(self) -> None:
        """Ends all connections, without a word."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _close(end)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            host, port = self._server.url.split("//")[1].split(":")
            try:
                far = socket.create_connection((host, int(port)))
            except OSError:
                _close(near)
                continue
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink, near), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, near: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                if source is near or not self.is_mute:
                    sink.sendall(data)
        except OSError:
            pass
        _close(source)
        _close(sink)


def eventually(what: str, look: Callable[[], Any]) -> Any:
    """Waits until `look` finds something, and gives it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(_LOOK_INTERVAL_S)
    raise AssertionError(f"waited in vain for {what}")


def _close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is closed already.
        pass
    end.close()
