"""The client for programs without `async`."""

from __future__ import annotations

import atexit
import inspect
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    TypeVar,
    cast,
    overload,
)

import httpx

from .core import TURNS, Core
from .effects import Done, Flow, Returned
from .following import Following
from .items import Event, Item
from .outgoing import NO_DATA
from .runner import Runner
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
Opened = TypeVar("Opened")

#: How much longer than its time a sampler's last request may take, in seconds.
_GRACE_S = 0.5


class Subscription(SubscriptionState, Iterator[Yielded_co], Generic[Yielded_co]):
    """Events of topics, in order, across cuts and restarts.

    It goes on while it is iterated over: what is not taken is not read. `with` closes it.
    """

    def __init__(self, following: Following, runner: Runner) -> None:
        super().__init__(following)
        self._runner = runner
        self._flow = following.run()
        self._lock = threading.RLock()
        self._is_busy = False
        self._is_over = False

    def __iter__(self) -> Subscription[Yielded_co]:
        return self

    def __next__(self) -> Yielded_co:
        with self._lock:
            if self._is_over:
                raise StopIteration
            given = self._advance()
            if isinstance(given, Done):
                self._is_over = True
                raise StopIteration
            if self._runner.is_closed:
                # What came is not given, and comes again.
                self._following.cursor = self._following.taken
                self._end(is_taken=False)
                raise StopIteration
        if self._runner.is_closed:
            # By who found it locked just now.
            self._end(is_taken=True)
        return cast("Yielded_co", given)

    def close(self) -> None:
        """Ends it for good, from any thread. What was given counts as taken."""
        self._end(is_taken=True)

    def __enter__(self) -> Subscription[Yielded_co]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An event whose handling has failed is to come again.
        self._end(is_taken=kind is None)

    def __del__(self) -> None:
        # Garbage is collected in the middle of anything.
        if hasattr(self, "_is_over"):
            self._end(is_taken=False, hang_up=self._runner.leave)

    def _advance(self) -> Item | Done:
        self._is_busy = True
        try:
            return self._runner.advance(self._flow)
        except Exception:
            self._is_over = True
            self._runner.hang_up()
            raise
        except BaseException:
            # Ctrl-C may end the flow itself: another one goes on at the cursor.
            if inspect.getgeneratorstate(self._flow) == inspect.GEN_CLOSED:
                self._runner.hang_up()
                self._flow = self._following.run()
            raise
        finally:
            self._is_busy = False

    def _end(self, is_taken: bool, hang_up: Callable[[], None] | None = None) -> None:
        self._runner.close()
        # Who iterates in another thread is told, and does the rest; so does who calls from within.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._is_over or self._is_busy:
                return
            self._is_over = True
            self._flow.close()
            if is_taken:
                self._following.taken = self._following.cursor
            try:
                self._runner.run(self._following.keep())
            finally:
                (hang_up or self._runner.hang_up)()
                self._following.end()
        finally:
            self._lock.release()


class Sampler(SamplerState):
    """Sends samples from a thread of its own, in order and in batches.

    They wait while there is no network. `with` closes it.
    """

    def __init__(self, sampling: Sampling, runner: Runner) -> None:
        super().__init__(sampling)
        self._runner = runner
        self._thread = threading.Thread(target=self._run, name="bellwire-sampler", daemon=True)
        self._thread.start()
        # A program that ends without closing it has what waits sent, too, or handed back.
        atexit.register(self.close)

    def add(
        self,
        name: str,
        value: float,
        labels: Mapping[str, str] | None = None,
        *,
        timestamp: int | None = None,
    ) -> None:
        """Queues one, and does not wait. `timestamp`: milliseconds since 1970, by default now."""
        if not self._thread.is_alive():
            # A process that was forked has none of the threads.
            self._is_closed = True
        self._queue(name, value, labels, timestamp)
        self._runner.work.set()

    def close(self, timeout: float = CLOSE_S) -> None:
        """Goes on for so many seconds with what waits; hands back what is left."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        self._sampling.close(timeout)
        self._runner.wake.set()
        self._runner.work.set()
        # `on_unsent` may close it, in the very thread: what waits is handed back when that ends.
        if threading.current_thread() is self._thread:
            return
        try:
            self._thread.join(min(timeout + _GRACE_S, threading.TIMEOUT_MAX))
        finally:
            # Ctrl-C ends the wait alone.
            self._runner.close()
            self._sampling.give_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._runner.run(self._sampling.run())
        except Closed:
            pass
        finally:
            self._sampling.give_up()


class Client(Core):
    """Follows what one server has, and sends to it. Several threads may use it.

    `http`: an `httpx.Client` of your own, with its certificates and proxies; it stays open.
    """

    def __init__(
        self, url: str, *, http: httpx.Client | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        super().__init__(url, **options)
        self._owns_http = http is None
        if http is None:
            self._http = httpx.Client(verify=trust(), limits=REQUEST_LIMITS)
            self._streams = httpx.Client(verify=trust(), limits=STREAM_LIMITS)
        else:
            self._http = self._streams = http
        self._locks = {name: threading.Lock() for name in TURNS}
        #: What is to be closed with it.
        self._opened: weakref.WeakSet[Any] = weakref.WeakSet()
        self._runners: weakref.WeakSet[Runner] = weakref.WeakSet()
        self._opened_lock = threading.Lock()
        self._is_closed = False

    @overload
    def subscribe(
        self,
        filters: str | Sequence[str],
        *,
        controls: Literal[True],
        **options: Unpack[SubscribeOptions],
    ) -> Subscription[Item]: ...
    @overload
    def subscribe(
        self,
        filters: str | Sequence[str],
        *,
        controls: Literal[False] = ...,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription[Event]: ...
    def subscribe(
        self, filters: str | Sequence[str], *, controls: bool = False, **options: Any
    ) -> Subscription[Any]:
        """Follows topics: filters such as `chat/general`, `alerts/*` or `plant/**`.

        With `controls` control events, such as `gap`, are given in their place among the events.
        """
        following = self._following(filters, controls, **options)
        return self._opens(Subscription(following, self._new_runner()))

    def publish(
        self,
        topic: str,
        data: Any = NO_DATA,
        *,
        timeout: float = TIMEOUT_S,
        **options: Unpack[PublishOptions],
    ) -> Published:
        """Publishes an event: JSON, or `bytes`. Returns once it is durable."""
        return self._run(self._publishing(topic, data, timeout, options))

    def delete(
        self,
        topic: str,
        key: str,
        *,
        if_version: str | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        """Deletes a key of a state topic; with `if_version` only if it has this version."""
        self._run(self._deleting(topic, key, if_version, timeout))

    def samples(self, samples: Sequence[Sample], *, timeout: float = TIMEOUT_S) -> SamplesTaken:
        """Sends samples. Returns once the rules have seen them, with what the server refuses of them.

        Those with a `timestamp` count once however often they are sent.
        """
        return self._run(self._measuring(samples, timeout))

    def sampler(
        self,
        *,
        on_unsent: OnUnsent | None = None,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
    ) -> Sampler:
        """Sends samples in the background; `on_unsent` is told of those that could not be sent."""
        sampling = self._sampling(on_unsent, queue_bytes_max)
        return self._opens(Sampler(sampling, self._new_runner()))

    def acknowledge(
        self, fingerprint: str, by: str, note: str | None = None, *, timeout: float = TIMEOUT_S
    ) -> dict[str, Any]:
        """Says who has taken an alert up; returns the alert."""
        return self._run(self._acknowledging(fingerprint, by, note, timeout))

    def unacknowledge(self, fingerprint: str, *, timeout: float = TIMEOUT_S) -> None:
        """Takes an acknowledgement back."""
        self._run(self._unacknowledging(fingerprint, timeout))

    def state(self, topic: str, *, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        """The values of a state topic as they are now, by their keys."""
        return self._run(self._values(topic, timeout))

    def query(
        self, expression: str, *, history: str = "15m", timeout: float = TIMEOUT_S
    ) -> dict[str, Any]:
        """The answer of a PromQL expression, by the labels of its elements.

        Each has `labels`, `value` and `timestamp`, and its past as `timestamps` and `values`.
        """
        return self._run(self._answered(expression, history, timeout))

    def history(
        self, topic: str, *, after: str = "earliest", timeout: float = TIMEOUT_S
    ) -> Iterator[Event]:
        """The events of a stream that are kept, up to now; each page is asked for when it is needed."""
        while True:
            events, after = self._run(self._page(topic, after, timeout))
            if not events:
                return
            yield from events

    def close(self) -> None:
        """Closes all subscriptions and samplers, and hands back what is not sent yet."""
        with self._opened_lock:
            self._is_closed = True
            opened, runners = list(self._opened), list(self._runners)
        # From the last to the first, each whatever another raises: a sampler still needs its runner.
        with ExitStack() as closing:
            if self._owns_http:
                closing.callback(self._http.close)
                closing.callback(self._streams.close)
            for each in [*runners, *opened]:
                closing.callback(each.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _new_runner(self) -> Runner:
        runner = Runner(self._http, self._streams, self._locks, self._aside)
        with self._opened_lock:
            self._runners.add(runner)
            runner.is_closed = self._is_closed
        return runner

    def _aside(self, flow: Flow[Any]) -> None:
        runner = self._new_runner()
        threading.Thread(
            target=runner.run, args=(flow,), name="bellwire-aside", daemon=True
        ).start()

    def _opens(self, one: Opened) -> Opened:
        with self._opened_lock:
            self._opened.add(one)
        return one

    def _run(self, flow: Flow[Returned]) -> Returned:
        runner = self._new_runner()
        try:
            value: Returned = runner.run(flow)
            return value
        finally:
            runner.hang_up()
