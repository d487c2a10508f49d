"""Both clients in one shape, so that a test is written once: the sync one each call in a thread."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Awaitable
from typing import Any, Callable

from bellwire import AsyncClient, Client, Control

from .server import PATIENCE_S

_END: Any = object()


class Threaded:
    """What a sync client or subscription has, to be awaited."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        of_wrapped = getattr(self.wrapped, name)
        if not callable(of_wrapped):
            return of_wrapped
        return lambda *values, **named: asyncio.to_thread(of_wrapped, *values, **named)

    def subscribe(self, *values: Any, **named: Any) -> Threaded:
        return Threaded(self.wrapped.subscribe(*values, **named))

    def sampler(self, **named: Any) -> Threaded:
        return Threaded(self.wrapped.sampler(**named))

    async def aclose(self, *values: Any) -> None:
        await asyncio.to_thread(self.wrapped.close, *values)

    async def __aenter__(self) -> Threaded:
        self.wrapped.__enter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.wrapped.__exit__, *error)

    def __aiter__(self) -> Threaded:
        return self

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self.wrapped, _END)
        if item is _END:
            raise StopAsyncIteration
        return item


def sync_client(url: str, **options: Any) -> Any:
    return Threaded(Client(url, **options))


#: By their names, for sub-tests.
CLIENTS: dict[str, Callable[..., Any]] = {"Client": sync_client, "AsyncClient": AsyncClient}

#: Comes back soon, so that a test with many cuts is short.
SOON: dict[str, Any] = {"random": lambda: 0.02}


class Both(unittest.TestCase):
    """Runs a test with each client."""

    def each(self, body: Callable[[Callable[..., Any]], Awaitable[None]]) -> None:
        for name, make in CLIENTS.items():
            with self.subTest(name):
                asyncio.run(asyncio.wait_for(body(make), 5 * PATIENCE_S))


async def take(subscription: Any, count: int) -> list[Any]:
    """The data of so many events, and the names of control events among them."""
    taken: list[Any] = []
    while len(taken) < count:
        item = await subscription.__anext__()
        taken.append(item.control if isinstance(item, Control) else item.data)
    return taken
