"""An eye on a connection that a thread reads: it is cut where it is silent for too long.

A read that waits can be ended by nobody but its socket, and httpx knows one patience for all reads of
an answer; that of a stream is known only when it has begun.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx


class Watch:
    """Over one connection."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        #: When it has been silent for too long; `None` while nobody reads.
        self._due: float | None = None
        self._is_over = False
        self._is_cut = False
        self._is_left = False
        #: What is read, and whose it is.
        self._held: tuple[Iterator[bytes], httpx.Response] | None = None
        #: Whether it was cut off for its silence.
        self.is_silent = False

    @property
    def has_socket(self) -> bool:
        return self._socket is not None

    def trace(self, name: str, info: dict[str, Any]) -> None:
        """What httpx tells of a request as it goes: the connection that is made for it."""
        if name.endswith(("connect_tcp.complete", "connect_unix_socket.complete")):
            self.take(info.get("return_value"))

    def take(self, stream: Any) -> None:
        """The connection; what has no socket is not watched."""
        known = stream.get_extra_info("socket") if stream is not None else None
        if known is None or known.fileno() < 0:
            return
        with self._changed:
            if self._socket is not None:
                self._socket.close()
            # One of its own: the number of another's may be somebody else's by then.
            self._socket = socket.fromfd(known.fileno(), known.family, known.type)
            if self._is_cut:
                self._shut_down()
            self._changed.notify()

    def hold(self, pieces: Iterator[bytes], response: httpx.Response) -> None:
        """Keeps what is read for as long as the thread looks: no garbage collection ends it."""
        self._held = pieces, response

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What is read meanwhile comes in so many seconds, or not at all."""
        with self._changed:
            self._due = time.monotonic() + min(seconds, threading.TIMEOUT_MAX)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._look, name="bellwire-watch", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._due = None

    def cut(self) -> None:
        """Ends the connection; who reads it is told."""
        with self._changed:
            self._is_cut = True
            self._shut_down()

    def over(self, is_left: bool = False) -> None:
        """It is done with; with `is_left` the thread closes what is held."""
        with self._changed:
            self._is_over, self._is_left = True, is_left
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            self._changed.notify()

    def _look(self) -> None:
        with self._changed:
            while not self._is_over:
                left = None if self._due is None else self._due - time.monotonic()
                if left is not None and left <= 0:
                    self.is_silent = True
                    self._due = None
                    self._shut_down()
                    left = None
                self._changed.wait(left)
            held, self._held = self._held, None
        if held is not None and self._is_left:
            held[1].close()

    def _shut_down(self) -> None:
        if self._socket is None:
            return
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The other side was faster.
            pass
