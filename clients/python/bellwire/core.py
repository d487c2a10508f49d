"""What both clients are: one server, and what can be asked of it."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from .effects import Done, Flow, HangUp, InTurn, NoTurn, Sleep, step
from .errors import BellwireError, ProtocolError, UnsentError
from .following import Followed, Following
from .items import Control, Event, items_of
from .outgoing import (
    Outgoing,
    acknowledging,
    base_of,
    deleting,
    filters_of,
    measuring,
    publishing,
    reading,
    unacknowledging,
)
from .renewals import Renewals
from .samples import OnUnsent, Sample, SampleQueue, Sampling, samples_body
from .sending import OUTBOX_MAX, Outbox, Sending, Setting, handed_back
from .tokens import Token, TokenSource
from .transports import TRANSPORTS

_log = logging.getLogger("bellwire")

if TYPE_CHECKING:
    from typing import TypedDict

    from typing_extensions import Unpack

    from .following import CursorStore, Status

    class ClientOptions(TypedDict, total=False):
        """How a server is asked."""

        #: A token or API key, or a function that gives one, also a newer one when asked again.
        token: TokenSource
        #: How many requests may wait to be sent; 1,000 by default.
        outbox_max: int
        #: For tests: seconds that never go back, in place of `time.monotonic`.
        clock: Callable[[], float]
        #: For tests: numbers from 0 to 1, in place of `random.random`.
        random: Callable[[], float]

    class SubscribeOptions(TypedDict, total=False):
        """How topics are followed."""

        #: Where to begin: a cursor, `earliest` or `latest`, which is the default.
        after: str | None
        #: Where its cursor is kept: it begins behind what was taken before, or at `after`.
        store: CursorStore
        #: PromQL expressions to follow, beside the topics.
        queries: Sequence[str]
        #: How far back the past of each series is wanted, such as `15m`.
        history: str
        #: State topics: how many updates of a key in a second at most.
        max_rate: float
        #: State topics: what comes first to who comes back, all `values` or the `changes` since.
        state: str
        #: What others who follow the same are shown, as JSON has it.
        present: Any
        #: By what a client without a name is known when it comes back.
        present_id: str
        #: Is told of each change of its status.
        on_status: Callable[[Status], None]
        #: What it comes over: `sse`, which is the default, or `poll`.
        transport: str

    class Published(TypedDict, total=False):
        """What the server says of an event that is durable."""

        #: Where it is, on a stream.
        cursor: str
        #: Which version of its key it is, on a state topic.
        version: str
        #: It was there before, under the same idempotency key.
        duplicate: bool
        #: Where the end of its topic is.
        end: str

    class SamplesTaken(TypedDict, total=False):
        """What the server says of samples."""

        accepted: int
        rejected: int
        #: The first 100 that were rejected: `line` (from 1), `code` and `detail`.
        errors: list[dict[str, Any]]


_PARAMETERS = ("history", "max_rate", "state", "present_id")
_OPTIONS = {"after", "store", "queries", "present", "on_status", "transport"}

#: What only one flow of a client does at a time.
TURNS = ("token", "sending")

#: How many events of a page of history are asked for.
HISTORY_EVENTS = 1_000


class Core:
    """Nothing is connected before something is asked of it."""

    def __init__(self, url: str, **options: Unpack[ClientOptions]) -> None:
        wrong = set(options) - {"token", "outbox_max", "clock", "random"}
        if wrong:
            raise TypeError(f"there is no option {', '.join(sorted(wrong))} of a client")
        clock = options.get("clock") or time.monotonic
        draw = options.get("random") or random.random
        self._setting = Setting(base_of(url), Token(options.get("token")), clock, draw)
        self._renewals = Renewals()
        self._outbox = Outbox(options.get("outbox_max") or OUTBOX_MAX)

    @property
    def unsent(self) -> int:
        """How many requests wait to be sent."""
        return self._outbox.size

    def _following(self, filters: str | Sequence[str], controls: bool, **options: Any) -> Following:
        wrong = set(options) - _OPTIONS - set(_PARAMETERS)
        if wrong:
            raise TypeError(f"there is no option {', '.join(sorted(wrong))} of a subscription")
        topics, queries = filters_of(filters), list(options.get("queries") or ())
        if not topics and not queries:
            raise ValueError("there is no filter to follow")
        name = options.get("transport") or "sse"
        if name not in TRANSPORTS:
            raise ValueError(
                f"there is no transport `{name}`: {' and '.join(TRANSPORTS)} are there"
            )
        are_named = not queries and not any("*" in topic for topic in topics)
        followed = Followed(
            parameters=_parameters(topics, queries, options),
            after=options.get("after"),
            topics=set(topics) if are_named else None,
            store=options.get("store"),
            controls=controls,
            on_status=options.get("on_status"),
        )
        return Following(self._setting, followed, self._renewals, TRANSPORTS[name])

    def _sending(self, outgoing: Outgoing, timeout: float) -> Flow[Any]:
        until = self._setting.clock() + timeout
        return Sending(self._setting, outgoing, lambda: until).run()

    def _sending_in_turn(self, outgoing: Outgoing, timeout: float) -> Flow[Any]:
        """In the order of the calls."""
        self._outbox.admit(outgoing)
        try:
            flow = self._sending(outgoing, timeout)
            answer = yield InTurn("sending", lambda: flow, timeout)
            return answer
        except NoTurn:
            raise handed_back("unanswered", outgoing, may_be_taken=False) from None
        finally:
            self._outbox.settle(outgoing)

    def _sampling(self, on_unsent: OnUnsent | None, queue_bytes_max: int) -> Sampling:
        return Sampling(self._setting, SampleQueue(queue_bytes_max), on_unsent)

    def _publishing(self, topic: str, data: Any, timeout: float, options: Any) -> Flow[Published]:
        return self._sending_in_turn(publishing(topic, data, **options), timeout)

    def _deleting(self, topic: str, key: str, version: str | None, timeout: float) -> Flow[None]:
        return self._sending_in_turn(deleting(topic, key, version), timeout)

    def _measuring(self, samples: Sequence[Sample], timeout: float) -> Flow[SamplesTaken]:
        return self._sending_in_turn(measuring(*samples_body(samples)), timeout)

    def _acknowledging(
        self, fingerprint: str, by: str, note: str | None, timeout: float
    ) -> Flow[dict[str, Any]]:
        return self._sending_in_turn(acknowledging(fingerprint, by, note), timeout)

    def _unacknowledging(self, fingerprint: str, timeout: float) -> Flow[None]:
        return self._sending_in_turn(unacknowledging(fingerprint), timeout)

    def _values(self, topic: str, timeout: float) -> Flow[dict[str, Any]]:
        """Those of a state topic, by their keys."""
        answer = yield from self._sending(reading(topic), timeout)
        events = _events_of(answer)
        if any(event.cursor for event in events):
            raise BellwireError("kind_mismatch", f"`{topic}` is a stream: `history` reads it")
        return {event.key or "": event.data for event in events}

    def _answered(self, expression: str, history: str, timeout: float) -> Flow[dict[str, Any]]:
        """What a query brings until it is live: its elements, and the past of each."""
        until = self._setting.clock() + timeout
        following = self._following([], True, queries=[expression], history=history)
        flow = following.run()
        elements: dict[str, Any] = {}
        value: Any = None
        fault: Exception | None = None
        while True:
            given = step(flow, value, fault)
            value = fault = None
            if isinstance(given, Event) and given.key == "query":
                _refuse_error(given.data)
            elif isinstance(given, Event):
                elements.setdefault(given.key or "", {}).update(given.data or {})
            elif isinstance(given, Done) or isinstance(given, Control) and given.control == "ready":
                yield HangUp()
                return elements
            elif not isinstance(given, Control):
                if isinstance(given, Sleep) and self._setting.clock() + given.seconds > until:
                    message = f"{expression}: there was no answer in time"
                    raise UnsentError("unanswered", message) from following.error
                try:
                    value = yield given
                except Exception as error:
                    fault = error

    def _page(self, topic: str, after: str, timeout: float) -> Flow[tuple[list[Event], str]]:
        outgoing = reading(topic, after=after, limit=HISTORY_EVENTS)
        answer = yield from self._sending(outgoing, timeout)
        events = _events_of(answer)
        # Values have no cursors, and would come again with each page.
        if not all(event.cursor for event in events):
            raise BellwireError("kind_mismatch", f"`{topic}` is a state topic: `state` reads it")
        if gap := answer.get("gap"):
            reason = gap.get("reason")
            _log.warning("%s: events are missing up to %s: %s", topic, gap.get("to"), reason)
        return events, answer.get("cursor", after)


def _events_of(answer: Any) -> list[Event]:
    if not isinstance(answer, dict) or not isinstance(answer.get("events"), list):
        raise ProtocolError("not_bellwire", "the answer holds no events: is it a Bellwire?")
    return items_of(answer)


def _refuse_error(described: Any) -> None:
    error = described.get("error") if isinstance(described, dict) else None
    if error:
        raise BellwireError("query_unanswered", f"the query has no answer: {error}")


def _parameters(
    topics: Sequence[str], queries: Sequence[str], options: dict[str, Any]
) -> list[tuple[str, str]]:
    parameters = [("topic", topic) for topic in topics]
    parameters += [("query", query) for query in queries]
    given = [(name, options.get(name)) for name in _PARAMETERS]
    parameters += [(name, str(value)) for name, value in given if value is not None]
    if options.get("present") is not None:
        parameters.append(("present", json.dumps(options["present"])))
    return parameters
