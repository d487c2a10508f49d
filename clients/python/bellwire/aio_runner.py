"""What flows ask for, done in the task that asks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Coroutine
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


class AsyncRunner:
    """For one flow at a time; what is open between two steps stays open."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        streams: httpx.AsyncClient,
        locks: dict[str, asyncio.Lock],
        aside: Callable[[Flow[Any]], None],
    ) -> None:
        self._http = http
        self._streams = streams
        self._locks = locks
        self._aside = aside
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        #: What is under way, for as long as it takes.
        self._task: asyncio.Future[Any] | None = None
        #: A read that goes on though nobody waits for it just now.
        self._reading: asyncio.Future[bytes] | None = None
        #: What a cancellation has cut short: done anew when the flow goes on.
        self._again: Effect | None = None
        self._has_work = False
        self._is_idle = False
        self._is_asleep = False
        self.is_closed = False

    async def run(self, flow: Flow[Any]) -> Any:
        """To its end; gives what it returns."""
        self._again = None
        try:
            given = await self.advance(flow)
            assert isinstance(given, Done)
            return given.value
        finally:
            flow.close()

    async def advance(self, flow: Flow[Any]) -> Item | Done:
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
                value = await self._perform(effect)
            except Exception as error:
                fault = error
            except BaseException:
                self._again = effect
                raise
            effect = None

    def close(self) -> None:
        """What is under way ends, in whichever task; nothing more begins."""
        self.is_closed = True
        for task in (self._task, self._reading):
            if task is not None:
                task.cancel()

    def wake(self) -> None:
        """Ends a sleep, and nothing else."""
        if self._task is not None and self._is_asleep:
            self._task.cancel()

    def work(self) -> None:
        """Ends idling."""
        self._has_work = True
        if self._is_idle:
            self.wake()

    async def hang_up(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            await _ended(reading)
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Read):
            return await self._read(effect.seconds)
        if isinstance(effect, Ask):
            return await self._within(self._ask(effect), effect.seconds)
        if isinstance(effect, Open):
            await self.hang_up()
            return await self._within(self._open(effect), effect.seconds)
        if isinstance(effect, HangUp):
            return await self.hang_up()
        if isinstance(effect, Call):
            given = effect.function()
            return await given if inspect.isawaitable(given) else given
        if isinstance(effect, InTurn):
            return await self._in_turn(effect)
        if isinstance(effect, Aside):
            return self._aside(effect.flow)
        if isinstance(effect, Idle):
            self._is_idle = True
            while not self._has_work and not self.is_closed:
                await self._sleep(None)
            self._has_work = self._is_idle = False
        else:
            assert isinstance(effect, Sleep)
            await self._sleep(effect.seconds)
        self._check()
        return None

    async def _in_turn(self, effect: InTurn) -> Any:
        lock = self._locks[effect.name]
        turn = asyncio.ensure_future(lock.acquire())
        try:
            done, _ = await asyncio.wait({turn}, timeout=effect.seconds)
            if not done:
                raise NoTurn
            turn.result()
            return await self.run(effect.flow())
        finally:
            # One that is cancelled may have it already.
            if not turn.cancel() and not turn.cancelled() and turn.exception() is None:
                lock.release()

    def _check(self) -> None:
        if self.is_closed:
            raise Closed

    async def _sleep(self, seconds: float | None) -> None:
        self._check()
        task: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._task, self._is_asleep = task, True
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            self._task, self._is_asleep = None, False
            task.cancel()

    async def _within(self, coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """What comes of it, in so many seconds or not at all."""
        task = self._task = asyncio.ensure_future(coroutine)
        try:
            self._check()
            done, _ = await asyncio.wait({task}, timeout=seconds)
        finally:
            self._task = None
            if not task.done():
                await _ended(task)
        if not done or task.cancelled():
            self._check()
            raise silent(seconds)
        return task.result()

    async def _ask(self, effect: Ask) -> Answer:
        request = built(self._http, effect.request, effect.seconds)
        try:
            response = await self._http.send(request, stream=True)
        except FAULTS as fault:
            raise unanswered(fault, effect.request.url) from fault
        body = Body(effect.bytes_max)
        try:
            async for piece in response.aiter_bytes():
                body.add(piece)
        except FAULTS as fault:
            raise lost(fault) from fault
        finally:
            await response.aclose()
        head = head_of(response)
        return Answer(head.status, head.headers, bytes(body))

    async def _open(self, effect: Open) -> Head:
        request = built(self._streams, effect.request, effect.seconds)
        try:
            response = await self._streams.send(request, stream=True, follow_redirects=True)
        except FAULTS as fault:
            raise unanswered(fault, effect.request.url) from fault
        # From here on it is `_read` that knows how long to wait.
        response.request.extensions["timeout"]["read"] = None
        self._response, self._pieces = response, response.aiter_bytes()
        return head_of(response)

    async def _read(self, seconds: float) -> bytes:
        self._check()
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._next_piece())
        reading = self._reading
        # A wait that is cancelled lets it go on: the next one has what it brings.
        done, _ = await asyncio.wait({reading}, timeout=seconds)
        self._check()
        if not done:
            raise silent(seconds)
        self._reading = None
        try:
            return reading.result()
        except FAULTS as fault:
            raise lost(fault) from fault

    async def _next_piece(self) -> bytes:
        assert self._pieces is not None
        try:
            return await self._pieces.__anext__()
        except StopAsyncIteration:
            return b""


async def _ended(task: asyncio.Future[Any]) -> None:
    """It is cancelled; what came of it is of no interest."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
