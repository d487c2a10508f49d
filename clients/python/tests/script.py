"""Surroundings of a flow that a test writes: a clock of their own, and what the network brings."""

from __future__ import annotations

import json
from typing import Any, Callable

from bellwire.answers import Answer, Head
from bellwire.effects import (
    Aside,
    Ask,
    Call,
    Done,
    Flow,
    HangUp,
    InTurn,
    Open,
    Read,
    Request,
    Sleep,
    step,
)
from bellwire.errors import ConnectionError
from bellwire.items import Control, Event
from bellwire.sending import Closed, Setting
from bellwire.tokens import Token, TokenSource

STREAM = {"content-type": "text/event-stream"}
BASE = "http://bell/"


def frame(**item: Any) -> bytes:
    """An item as it comes in a stream."""
    return b"data: " + json.dumps(item).encode() + b"\n\n"


def event(number: int, topic: str = "a") -> bytes:
    return frame(topic=topic, time=number, cursor=f"e1-{number}", data=number)


def ready(cursor: str = "e1-0", heartbeat_interval_ms: int = 25_000) -> bytes:
    return frame(control="ready", cursor=cursor, heartbeat_interval_ms=heartbeat_interval_ms)


def problem(status: int, code: str, **headers: str) -> Answer:
    told = {"content-type": "application/problem+json", **headers}
    return Answer(status, told, json.dumps({"code": code, "status": status}).encode())


def answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(value).encode())


class Stream:
    """An answer that is read as it comes: bytes, or how many seconds nothing comes."""

    def __init__(self, *pieces: bytes | float | Exception, head: Head | None = None) -> None:
        self.head = head or Head(200, STREAM)
        self.pieces = list(pieces)


class Script:
    """Gives `opens` and `answers` one after the other, and notes what was asked for."""

    def __init__(self, opens: list[Any] = (), answers: list[Any] = ()) -> None:  # type: ignore[assignment]
        self.now = 1_000.0
        self.opens = list(opens)
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.slept: list[float] = []
        self.calls = 0
        self.open: Stream | None = None

    def setting(
        self, token: TokenSource = None, random: Callable[[], float] = lambda: 1.0
    ) -> Setting:
        return Setting(BASE, Token(token), lambda: self.now, random)

    def run(self, flow: Flow[Any]) -> tuple[list[Any], Any]:
        """To its end, or to the last that was written: the items, and what it returned."""
        items: list[Any] = []
        value, fault = None, None
        while True:
            effect = step(flow, value, fault)
            value = fault = None
            if isinstance(effect, Done):
                return items, effect.value
            if isinstance(effect, (Event, Control)):
                items.append(effect)
                continue
            try:
                value = self._perform(effect)
            except Exception as error:
                fault = error

    def _perform(self, effect: Any) -> Any:
        if isinstance(effect, Open):
            return self._open(effect)
        if isinstance(effect, Read):
            return self._read(effect.seconds)
        if isinstance(effect, Ask):
            self.requests.append(effect.request)
            return self._given(self.answers)
        if isinstance(effect, Sleep):
            assert len(self.slept) < 1_000, "it tries without end"
            self.slept.append(effect.seconds)
            self.now += effect.seconds
        elif isinstance(effect, Call):
            self.calls += 1
            return effect.function()
        elif isinstance(effect, InTurn):
            return self.run(effect.flow())[1]
        elif isinstance(effect, Aside):
            self.run(effect.flow)
        elif isinstance(effect, HangUp):
            self.open = None
        return None

    def _open(self, effect: Open) -> Head:
        assert self.open is None, "one connection at a time"
        self.requests.append(effect.request)
        stream = self._given(self.opens)
        self.open = stream
        return stream.head

    def _read(self, seconds: float) -> bytes:
        assert self.open is not None
        left = seconds
        while self.open.pieces:
            piece = self.open.pieces[0]
            if isinstance(piece, float):
                if piece > left:
                    self.open.pieces[0] = piece - left
                    self.now += left
                    raise ConnectionError("connection_silent", f"after {seconds} s")
                self.now += piece
                left -= piece
                self.open.pieces.pop(0)
                continue
            self.open.pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            return piece
        return b""

    @staticmethod
    def _given(things: list[Any]) -> Any:
        if not things:
            raise Closed
        thing = things.pop(0)
        if isinstance(thing, Exception):
            raise thing
        return thing
