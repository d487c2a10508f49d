"""The client for programs with `async`."""

from __future__ import annotations

import asyncio
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    TypeVar,
    cast,
    overload,
)

import httpx

from .aio_runner import AsyncRunner
from .core import Core
from .effects import Done, Flow, Returned
from .following import Following
from .items import Event, Item
from .outgoing import NO_DATA
from .samples import CLOSE_S, QUEUE_BYTES_MAX, OnUnsent, Sample, Sampling
from .sending import TIMEOUT_S, Closed
from .state import SamplerState, SubscriptionState
from .transfer import REQUEST_LIMITS, STREAM_LIMITS, trust

if TYPE_CHECKING:
    from typing import Literal

    from typing_extensions import Self, Unpack

    from .core import ClientOptions, Published, SamplesTaken, SubscribeOptions
    from .outgoing import PublishOptions

Yielded_co = TypeVar("Yielded_co", bound=Item, covariant=True)

#: How much longer than its time a sampler's last request may take, in seconds.
_GRACE_S = 0.5


class AsyncSubscription(SubscriptionState, AsyncIterator[Yielded_co], Generic[Yielded_co]):
    """Events of topics, in order, across cuts and restarts.

    It goes on while it is iterated over: what is not taken is not read. `async with` closes it.
    """

    def __init__(self, following: Following, runner: AsyncRunner) -> None:
        super().__init__(following)
        self._runner = runner
        self._flow = following.run()
        self._is_busy = False
        self._is_over = False

    def __aiter__(self) -> AsyncSubscription[Yielded_co]:
        return self

    async def __anext__(self) -> Yielded_co:
        """One that is cancelled loses nothing: the next goes on."""
        if self._is_busy:
            raise RuntimeError("a subscription is iterated over by one task; subscribe once more")
        if self._is_over:
            raise StopAsyncIteration
        self._is_busy = True
        try:
            given = await self._runner.advance(self._flow)
        except Exception:
            self._is_over = True
            await self._runner.hang_up()
            raise
        finally:
            self._is_busy = False
        if isinstance(given, Done):
            self._is_over = True
            raise StopAsyncIteration
        if self._runner.is_closed:
            # What came is not given, and comes again.
            self._following.cursor = self._following.taken
            await self._end(is_taken=False)
            raise StopAsyncIteration
        return cast("Yielded_co", given)

    async def aclose(self) -> None:
        """Ends it for good. What was given counts as taken."""
        await self._end(is_taken=True)

    async def __aenter__(self) -> AsyncSubscription[Yielded_co]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An event whose handling has failed is to come again.
        await self._end(is_taken=kind is None)

    async def _end(self, is_taken: bool) -> None:
        self._runner.close()
        # Who iterates in another task is told, and does the rest.
        if self._is_over or self._is_busy:
            return
        self._is_over = True
        self._flow.close()
        if is_taken:
            self._following.taken = self._following.cursor
        # One that is cancelled does the rest all the same.
        try:
            await self._runner.run(self._following.keep())
        finally:
            try:
                await self._runner.hang_up()
            finally:
                self._following.end()


class AsyncSampler(SamplerState):
    """Sends samples from a task of its own, in order and in batches.

    They wait while there is no network. `async with` closes it.
    """

    def __init__(self, sampling: Sampling, runner: AsyncRunner) -> None:
        super().__init__(sampling)
        self._runner = runner
        self._task = asyncio.ensure_future(self._run())
        # The loop may end before it is closed, or has even begun.
        self._task.add_done_callback(lambda _: sampling.give_up())

    def add(
        self,
        name: str,
        value: float,
        labels: Mapping[str, str] | None = None,
        *,
        timestamp: int | None = None,
    ) -> None:
        """Queues one, and does not wait. `timestamp`: milliseconds since 1970, by default now."""
        self._queue(name, value, labels, timestamp)
        self._runner.work()

    async def aclose(self, timeout: float = CLOSE_S) -> None:
        """Goes on for so many seconds with what waits; hands back what is left."""
        if self._is_closed:
            return
        self._is_closed = True
        self._sampling.close(timeout)
        self._runner.wake()
        self._runner.work()
        try:
            await asyncio.wait({self._task}, timeout=timeout + _GRACE_S)
        finally:
            self._runner.close()
            self._task.cancel()
            self._sampling.give_up()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def _run(self) -> None:
        try:
            await self._runner.run(self._sampling.run())
        except Closed:
            pass


class AsyncClient(Core):
    """Follows what one server has, and sends to it, in one event loop of `asyncio`.

    `http`: an `httpx.AsyncClient` of your own, with its certificates and proxies; it stays open.
    """

    def __init__(
        self,
        url: str,
        *,
        http: httpx.AsyncClient | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(url, **options)
        self._owns_http = http is None
        if http is None:
            self._http = httpx.AsyncClient(verify=trust(), limits=REQUEST_LIMITS)
            self._streams = httpx.AsyncClient(verify=trust(), limits=STREAM_LIMITS)
        else:
            self._http = self._streams = http
        # Made when they are needed: older Pythons bind them to the loop that is there by then.
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        #: What is to be closed with it.
        self._opened: weakref.WeakSet[Any] = weakref.WeakSet()
        self._runners: weakref.WeakSet[AsyncRunner] = weakref.WeakSet()
        self._asides: set[asyncio.Future[Any]] = set()
        self._is_closed = False

    @overload
    def subscribe(
        self,
        filters: str | Sequence[str],
        *,
        controls: Literal[True],
        **options: Unpack[SubscribeOptions],
    ) -> AsyncSubscription[Item]: ...
    @overload
    def subscribe(
        self,
        filters: str | Sequence[str],
        *,
        controls: Literal[False] = ...,
        **options: Unpack[SubscribeOptions],
    ) -> AsyncSubscription[Event]: ...
    def subscribe(
        self, filters: str | Sequence[str], *, controls: bool = False, **options: Any
    ) -> AsyncSubscription[Any]:
        """Follows topics: filters such as `chat/general`, `alerts/*` or `plant/**`.

        With `controls` control events, such as `gap`, are given in their place among the events.
        """
        following = self._following(filters, controls, **options)
        subscription: AsyncSubscription[Any] = AsyncSubscription(following, self._new_runner())
        self._opened.add(subscription)
        return subscription

    async def publish(
        self,
        topic: str,
        data: Any = NO_DATA,
        *,
        timeout: float = TIMEOUT_S,
        **options: Unpack[PublishOptions],
    ) -> Published:
        """Publishes an event: JSON, or `bytes`. Returns once it is durable."""
        return await self._run(self._publishing(topic, data, timeout, options))

    async def delete(
        self,
        topic: str,
        key: str,
        *,
        if_version: str | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        """Deletes a key of a state topic; with `if_version` only if it has this version."""
        await self._run(self._deleting(topic, key, if_version, timeout))

    async def samples(
        self, samples: Sequence[Sample], *, timeout: float = TIMEOUT_S
    ) -> SamplesTaken:
        """Sends samples. Returns once the rules have seen them, with what the server refuses of them.

        Those with a `timestamp` count once however often they are sent.
        """
        return await self._run(self._measuring(samples, timeout))

    def sampler(
        self,
        *,
        on_unsent: OnUnsent | None = None,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
    ) -> AsyncSampler:
        """Sends samples in the background; `on_unsent` is told of those that could not be sent."""
        sampler = AsyncSampler(self._sampling(on_unsent, queue_bytes_max), self._new_runner())
        self._opened.add(sampler)
        return sampler

    async def acknowledge(
        self, fingerprint: str, by: str, note: str | None = None, *, timeout: float = TIMEOUT_S
    ) -> dict[str, Any]:
        """Says who has taken an alert up; returns the alert."""
        return await self._run(self._acknowledging(fingerprint, by, note, timeout))

    async def unacknowledge(self, fingerprint: str, *, timeout: float = TIMEOUT_S) -> None:
        """Takes an acknowledgement back."""
        await self._run(self._unacknowledging(fingerprint, timeout))

    async def state(self, topic: str, *, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        """The values of a state topic as they are now, by their keys."""
        return await self._run(self._values(topic, timeout))

    async def query(
        self, expression: str, *, history: str = "15m", timeout: float = TIMEOUT_S
    ) -> dict[str, Any]:
        """The answer of a PromQL expression, by the labels of its elements.

        Each has `labels`, `value` and `timestamp`, and its past as `timestamps` and `values`.
        """
        return await self._run(self._answered(expression, history, timeout))

    async def history(
        self, topic: str, *, after: str = "earliest", timeout: float = TIMEOUT_S
    ) -> AsyncIterator[Event]:
        """The events of a stream that are kept, up to now; each page is asked for when it is needed."""
        while True:
            events, after = await self._run(self._page(topic, after, timeout))
            if not events:
                return
            for event in events:
                yield event

    async def aclose(self) -> None:
        """Closes all subscriptions and samplers, and hands back what is not sent yet."""
        self._is_closed = True
        # From the last to the first, each whatever another raises: a sampler still needs its runner.
        async with AsyncExitStack() as closing:
            if self._owns_http:
                closing.push_async_callback(self._http.aclose)
                closing.push_async_callback(self._streams.aclose)
            for runner in list(self._runners):
                closing.callback(runner.close)
            for one in list(self._opened):
                closing.push_async_callback(one.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def _new_runner(self) -> AsyncRunner:
        runner = AsyncRunner(self._http, self._streams, self._locks, self._aside)
        runner.is_closed = self._is_closed
        self._runners.add(runner)
        return runner

    def _aside(self, flow: Flow[Any]) -> None:
        # Who only has a task begun must keep it.
        task = asyncio.ensure_future(self._new_runner().run(flow))
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    async def _run(self, flow: Flow[Returned]) -> Returned:
        runner = self._new_runner()
        try:
            value: Returned = await runner.run(flow)
            return value
        finally:
            await runner.hang_up()
