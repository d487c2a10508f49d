"""A stream that goes on: opened again at its cursor whenever it is cut, until it is over for good."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import Any, Callable, Protocol

from .answers import RETRY_AFTER_MAX_S, remedy
from .effects import Call, Flow, HangUp, Request, Sleep
from .errors import BellwireError, ConnectionError, ProblemError, ProtocolError
from .items import Control, Item
from .link import Link
from .outgoing import authorization, events_path
from .renewals import Renewals
from .sending import Closed, Setting

_log = logging.getLogger("bellwire")

#: How long a connection has to be live for the next fault to be a first one.
HEALTHY_S = 10.0
#: How often a cursor is kept at most.
KEEP_S = 1.0


class CursorStore(Protocol):
    """Keeps a cursor where the application has room for it. What it raises is passed over.

    An `AsyncClient` awaits what its methods give, where that can be awaited.
    """

    def get(self) -> Any:
        """The one that was kept last, or `None`."""

    def set(self, cursor: str) -> Any:
        """Keeps it."""


@dataclass(frozen=True)
class Status:
    """How a subscription is.

    `connecting`: on the way to `live`, with values and events of before coming. `live`: caught up.
    `waiting`: cut off, to try again. `closed`: over.
    """

    status: str
    #: Why it waits or is closed; `None` where nothing is wrong.
    error: BellwireError | None = None
    #: While it waits: how long.
    retry_in_s: float | None = None
    #: Where it goes on: without one all begins anew.
    cursor: str | None = None


@dataclass
class Followed:
    """What is followed."""

    #: The stream's parameters but the cursor.
    parameters: list[tuple[str, str]]
    #: Where to begin: a cursor, `earliest` or `latest`.
    after: str | None = None
    #: The topics, where all of them are named: then it is over when these have ended.
    topics: set[str] | None = None
    store: CursorStore | None = None
    #: Whether control events are given, too.
    controls: bool = False
    on_status: Callable[[Status], None] | None = None


class _Over(Exception):
    """Nothing more will come, and nothing is wrong."""


#: How one connection is read: returns where nothing more will come, else raises.
Transport = Callable[["Following", Link], Flow[None]]


@dataclass
class Following:
    """The flow of a subscription: it gives items."""

    setting: Setting
    followed: Followed
    renewals: Renewals
    transport: Transport
    #: Behind what was given: to go on from it misses nothing.
    cursor: str | None = None
    #: The same of what was taken: more has been asked for since it was given.
    taken: str | None = None
    status: str = "connecting"
    #: Why it waits or is closed.
    error: BellwireError | None = None
    _kept: str | None = None
    _kept_at: float = -KEEP_S
    _ended: set[str] = field(default_factory=set)
    _was_ready: bool = False
    _has_refreshed: bool = False
    #: Whether `_stale` is a token that counts no more.
    _is_stale: bool = False
    _stale: str | None = None

    def __post_init__(self) -> None:
        self._backoff = self.setting.backoff()

    def run(self) -> Flow[None]:
        """Gives items until it is over; raises where that is for a reason."""
        reason: BellwireError | None = None
        try:
            yield from self._begin()
            while True:
                yield from self._go_once()
        except (_Over, Closed):
            pass
        except BellwireError as error:
            reason = error
        yield HangUp()
        yield from self.keep()
        self.end(reason)
        if reason is not None:
            raise reason

    def request(self, link: Link, accept: str, **more: str) -> Request:
        """What opens a connection at the cursor; `more` are parameters in place of those there are."""
        after = self.cursor or self.followed.after
        if after is not None:
            more["after"] = after
        kept = [(name, value) for name, value in self.followed.parameters if name not in more]
        parameters = [*kept, *more.items()]
        url = self.setting.base + events_path(parameters)
        return Request("GET", url, [("accept", accept.encode()), *authorization(link.token)])

    def came(self, link: Link) -> Flow[None]:
        """Something has come, be it a heartbeat."""
        link.sign()
        if self.taken != self._kept and self.setting.clock() - self._kept_at >= KEEP_S:
            yield from self.keep()

    def item(self, link: Link, item: Item) -> Flow[None]:
        """Gives what came; raises where it ends the connection."""
        if isinstance(item, Control):
            self._note(link, item)
            if item.control == "renew":
                renews = str(item.raw.get("renews"))
                expires_in_s = _number(item.raw.get("expires_in_ms")) / 1_000
                yield from self.renewals.renew(self.setting, link, renews, expires_in_s)
        self.cursor = item.cursor or self.cursor
        if self.followed.controls or not isinstance(item, Control):
            yield item
        self.taken = self.cursor
        if not isinstance(item, Control):
            return
        # Not every transport closes then.
        if link.ready_at is not None and self._have_all_ended():
            raise _Over
        if item.control == "bye":
            self._bye(link, item)

    def keep(self) -> Flow[None]:
        """What is not kept yet is."""
        store, cursor = self.followed.store, self.taken
        if store is None or cursor is None or cursor == self._kept:
            return
        self._kept, self._kept_at = cursor, self.setting.clock()
        try:
            yield Call(lambda: store.set(cursor))
        except Exception:
            _log.warning("the store does not keep the cursor", exc_info=True)

    def end(self, error: BellwireError | None = None) -> None:
        """It is over; said once."""
        if self.status != "closed":
            self._say("closed", error)

    def _begin(self) -> Flow[None]:
        store = self.followed.store
        if store is None:
            return
        try:
            kept = yield Call(store.get)
        except Exception:
            _log.warning("the store gives no cursor", exc_info=True)
            kept = None
        if kept:
            self.followed.after = self._kept = kept

    def _go_once(self) -> Flow[None]:
        """One connection, and the wait behind it."""
        link = Link()
        self._say("connecting")
        try:
            yield from self._connect(link)
            raise _Over
        except BellwireError as error:
            if isinstance(error, Closed):
                raise
            yield HangUp()
            self._leave(link)
            if error.code == "connection_lost" and self._have_all_ended():
                raise _Over from error
            wait = self._wait_behind(error, link)
            if wait is not None:
                self._say("waiting", error, wait)
                # Where it has never come through, what it was told may be wrong.
                level = logging.INFO if self._was_ready else logging.WARNING
                _log.log(level, "%s; tried again in %.1f s", error, wait)
        if wait is not None:
            yield Sleep(wait)

    def _connect(self, link: Link) -> Flow[None]:
        token = self.setting.token
        if self._is_stale:
            self._is_stale = False
            link.token = yield from token.refresh(self._stale)
        else:
            link.token = yield from token.get()
        yield from self.transport(self, link)

    def _note(self, link: Link, item: Control) -> None:
        raw = item.raw
        if item.control == "ready":
            heartbeat_s = _number(raw.get("heartbeat_interval_ms")) / 1_000
            link.ready(self.setting.clock(), heartbeat_s)
            self._was_ready, self._has_refreshed = True, False
            self._say("live")
        elif item.control == "end":
            self._ended.add(str(raw.get("topic")))
        elif item.control == "reopened":
            self._ended.discard(str(raw.get("topic")))

    def _bye(self, link: Link, item: Control) -> None:
        """The server ends the stream."""
        raw = item.raw
        reason = str(raw.get("reason"))
        retry_s = min(_number(raw.get("retry_ms")) / 1_000, RETRY_AFTER_MAX_S)
        if "status" in raw:
            problem = {"code": reason, "detail": raw.get("detail")}
            raise ProblemError(int(_number(raw["status"])), problem, retry_s)
        if reason == "displaced":
            raise _Displaced(reason, "another connection has come with the same ticket")
        if reason.startswith("credential") and self.setting.token.can_refresh:
            self._is_stale, self._stale = True, link.token
        raise _Bye("connection_lost", f"the server has ended the stream: {reason}", retry_s)

    def _leave(self, link: Link) -> None:
        """A connection is done with; it was a good one where it was live for a while."""
        if link.ready_at is not None and self.setting.clock() - link.ready_at >= HEALTHY_S:
            self._backoff.reset()

    def _wait_behind(self, error: BellwireError, link: Link) -> float | None:
        """How long to wait, `None` for not at all; raises where it is over."""
        token = self.setting.token
        what = remedy(error)
        is_other = isinstance(error, ProtocolError) and error.code == "not_bellwire"
        if isinstance(error, _Displaced) or (is_other and not self._was_ready):
            what = "none"
        if what == "later":
            asked_s = getattr(error, "retry_after_s", None)
            return max(asked_s or 0.0, self._backoff.next())
        if what == "none" or self._has_refreshed or not token.can_refresh:
            raise error
        self._has_refreshed = True
        self._is_stale, self._stale = True, link.token
        return None

    def _have_all_ended(self) -> bool:
        topics = self.followed.topics
        return topics is not None and topics <= self._ended

    def _say(
        self, status: str, error: BellwireError | None = None, retry_in_s: float | None = None
    ) -> None:
        self.status, self.error = status, error
        if self.followed.on_status is not None:
            self.followed.on_status(Status(status, error, retry_in_s, self.cursor))


class _Displaced(BellwireError):
    """Somebody else has taken its place: to come back would take it from them."""


class _Bye(ConnectionError):
    """The server has ended the stream, and said when to come back."""

    def __init__(self, code: str, message: str, retry_after_s: float) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


def _number(value: Any) -> float:
    """What is no number, or more than any, counts as none."""
    try:
        number = float(value) if isinstance(value, (int, float)) else 0.0
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) else 0.0
