"""What the protocol asks of its surroundings.

The protocol itself (`following`, `sending`, `sampling`) is written as generators, here called flows:
they yield effects, get back what came of them, and do no input or output, have no clock and draw no
numbers but those that they are given. `sync` and `aio` do what flows ask for, each in its own way.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Callable, TypeVar, Union

from .items import Item


@dataclass(frozen=True)
class Request:
    """A request of HTTP."""

    method: str
    url: str
    headers: list[tuple[str, bytes]]
    body: bytes | None = None


@dataclass(frozen=True)
class Ask:
    """A request whose answer is read whole: gives `Answer`, or raises `ConnectionError`."""

    request: Request
    seconds: float
    bytes_max: int


@dataclass(frozen=True)
class Open:
    """A request whose answer is read as it comes: gives its `Head`, or raises `ConnectionError`."""

    request: Request
    seconds: float


@dataclass(frozen=True)
class Read:
    """The next piece of what is open, empty at its end; raises `ConnectionError`."""

    seconds: float


@dataclass(frozen=True)
class HangUp:
    """What is open is closed; nothing may be open."""


@dataclass(frozen=True)
class Sleep:
    """A wait that ends early where it is closed."""

    seconds: float


@dataclass(frozen=True)
class Call:
    """A function of the application: gives what it returns, and raises what it raises."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class InTurn:
    """Another flow, of those with this name one at a time: gives what it returns.

    Raises `NoTurn` where it cannot begin in so many seconds.
    """

    name: str
    flow: Callable[[], Generator[Any, Any, Any]]
    seconds: float | None = None


class NoTurn(Exception):
    """Others went first for too long."""


@dataclass(frozen=True)
class Aside:
    """Another flow that goes on beside this one; it raises nothing."""

    flow: Generator[Any, Any, Any]


@dataclass(frozen=True)
class Idle:
    """Waits until there is something to do."""


@dataclass(frozen=True)
class Done:
    """A flow has ended, with this."""

    value: Any


Effect = Union[Ask, Open, Read, HangUp, Sleep, Call, InTurn, Aside, Idle]
Returned = TypeVar("Returned")
#: A flow may give items, too, to whoever runs it.
Flow = Generator[Union[Effect, Item], Any, Returned]


def step(flow: Flow[Any], value: Any, fault: Exception | None) -> Effect | Item | Done:
    """Goes on with what has come of the last effect; gives the next one, or `Done`."""
    try:
        return flow.send(value) if fault is None else flow.throw(fault)
    except StopIteration as stop:
        return Done(stop.value)
