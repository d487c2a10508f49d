"""What flows ask for, done in the thread that asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import httpx

from .answers import Answer, Body, Head
from .effects import (
    Aside,
    Ask,
    Call,
    Done,
    Effect,
    Flow,
    HangUp,
    Idle,
    InTurn,
    NoTurn,
    Open,
    Read,
    Sleep,
    step,
)
from .items import Control, Event, Item
from .sending import Closed
from .transfer import FAULTS, built, head_of, lost, silent, unanswered
from .watch import Watch


class Runner:
    """For one flow at a time; what is open between two steps stays open."""

    def __init__(
        self,
        http: httpx.Client,
        streams: httpx.Client,
        locks: dict[str, threading.Lock],
        aside: Callable[[Flow[Any]], None],
    ) -> None:
        self._http = http
        self._streams = streams
        self._locks = locks
        self._aside = aside
        self._watch: Watch | None = None
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        #: What something like Ctrl-C has cut short: done anew when the flow goes on.
        self._again: Effect | None = None
        #: Ends a sleep.
        self.wake = threading.Event()
        #: Ends idling.
        self.work = threading.Event()
        self.is_closed = False

    def run(self, flow: Flow[Any]) -> Any:
        """To its end; gives what it returns."""
        self._again = None
        try:
            given = self.advance(flow)
            assert isinstance(given, Done)
            return given.value
        finally:
            flow.close()

    def advance(self, flow: Flow[Any]) -> Item | Done:
        """Until it gives something or ends."""
        effect, self._again = self._again, None
        value: Any = None
        fault: Exception | None = None
        while True:
            if effect is None:
                next_one = step(flow, value, fault)
                if isinstance(next_one, (Event, Control, Done)):
                    return next_one
                effect = next_one
            value = fault = None
            try:
                value = self._perform(effect)
            except Exception as error:
                fault = error
            except BaseException:
                self._again = effect
                raise
            effect = None

    def close(self) -> None:
        """What is under way ends, in whichever thread; nothing more begins."""
        self.is_closed = True
        self.wake.set()
        self.work.set()
        watch = self._watch
        if watch is not None:
            watch.cut()

    def hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
        self._pieces = iter(())
        if self._watch is not None:
            self._watch.over()
            self._watch = None

    def leave(self) -> None:
        """The same in another thread: this one may be within httpx, and hold its locks."""
        self._response, self._pieces = None, iter(())
        if self._watch is not None:
            self._watch.over(is_left=True)
            self._watch = None

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Read):
            return self._read(effect.seconds)
        if isinstance(effect, Ask):
            return self._ask(effect)
        if isinstance(effect, Open):
            return self._open(effect)
        if isinstance(effect, HangUp):
            return self.hang_up()
        if isinstance(effect, Call):
            return effect.function()
        if isinstance(effect, InTurn):
            return self._in_turn(effect)
        if isinstance(effect, Aside):
            return self._aside(effect.flow)
        if isinstance(effect, Idle):
            self.work.wait()
            self.work.clear()
        else:
            assert isinstance(effect, Sleep)
            self.wake.wait(min(effect.seconds, threading.TIMEOUT_MAX))
            self.wake.clear()
        self._check()
        return None

    def _in_turn(self, effect: InTurn) -> Any:
        lock = self._locks[effect.name]
        if effect.seconds is None:
            with lock:
                return self.run(effect.flow())
        is_mine = False
        try:
            is_mine = lock.acquire(timeout=max(0.0, min(effect.seconds, threading.TIMEOUT_MAX)))
            if not is_mine:
                raise NoTurn
            return self.run(effect.flow())
        finally:
            if is_mine:
                lock.release()

    def _check(self) -> None:
        if self.is_closed:
            raise Closed

    def _ask(self, effect: Ask) -> Answer:
        self._check()
        until = time.monotonic() + effect.seconds
        request = built(self._http, effect.request, effect.seconds)
        try:
            response = self._http.send(request, stream=True)
        except FAULTS as fault:
            raise unanswered(fault, effect.request.url) from fault
        body = Body(effect.bytes_max)
        try:
            for piece in response.iter_bytes():
                body.add(piece)
                if time.monotonic() > until:
                    raise silent(effect.seconds)
        except FAULTS as fault:
            raise lost(fault) from fault
        finally:
            response.close()
        head = head_of(response)
        return Answer(head.status, head.headers, bytes(body))

    def _open(self, effect: Open) -> Head:
        self.hang_up()
        watch = self._watch = Watch()
        self._check()
        request = built(self._streams, effect.request, effect.seconds, trace=watch.trace)
        try:
            with watch.within(effect.seconds):
                response = self._streams.send(request, stream=True, follow_redirects=True)
        except FAULTS as fault:
            self._check()
            if watch.is_silent or isinstance(fault, httpx.ReadTimeout):
                raise silent(effect.seconds) from fault
            raise unanswered(fault, effect.request.url) from fault
        self._response, self._pieces = response, response.iter_bytes()
        watch.hold(self._pieces, response)
        if not watch.has_socket:
            watch.take(response.extensions.get("network_stream"))
        if watch.has_socket:
            # From here on it is the watch that knows how long to wait.
            response.request.extensions["timeout"]["read"] = None
        return head_of(response)

    def _read(self, seconds: float) -> bytes:
        assert self._watch is not None
        self._check()
        try:
            with self._watch.within(seconds):
                piece = next(self._pieces, b"")
        except FAULTS as fault:
            self._check()
            if self._watch.is_silent or isinstance(fault, httpx.ReadTimeout):
                raise silent(seconds) from fault
            raise lost(fault) from fault
        self._check()
        return piece
