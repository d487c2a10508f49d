"""Sending: one request at a time, tried until it is answered or its time is over."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Callable

from .answers import ANSWER_BYTES_MAX, Answer, refusal, remedy
from .backoff import Backoff
from .effects import Ask, Flow, Sleep
from .errors import BellwireError, ConnectionError, ProblemError, ProtocolError, UnsentError
from .outgoing import Outgoing
from .tokens import Token

#: How many requests may wait.
OUTBOX_MAX = 1_000
#: How many bytes of bodies may wait.
OUTBOX_BYTES_MAX = 16 * 1024 * 1024
#: How long one try may take, in seconds: a connection may be dead without a word.
TRY_S = 15.0
#: How long something is tried, in seconds, where nobody says otherwise.
TIMEOUT_S = 60.0

_HANDED_BACK = {
    "queue_full": "too much waits to be sent: wait until some of it has been",
    "unanswered": "there was no answer in time",
    "closed": "the client was closed",
}


@dataclass(frozen=True)
class Setting:
    """What is the same for all that a client does."""

    base: str
    token: Token
    #: Seconds that never go back, as `time.monotonic`.
    clock: Callable[[], float]
    #: Numbers from 0 to 1.
    random: Callable[[], float]

    def backoff(self) -> Backoff:
        return Backoff(self.random)


class Closed(BellwireError):
    """In place of what an effect gives: all is to end."""

    def __init__(self) -> None:
        super().__init__("closed", "it was closed")


class Outbox:
    """How much waits to be sent, of all threads."""

    def __init__(self, requests_max: int) -> None:
        self._lock = threading.Lock()
        self._requests_max = requests_max
        self._bytes = 0
        #: How many requests wait, the one that is under way included.
        self.size = 0

    def admit(self, outgoing: Outgoing) -> None:
        """`UnsentError` where too much waits already."""
        length = len(outgoing.body or b"")
        with self._lock:
            if self.size >= self._requests_max or self._bytes + length > OUTBOX_BYTES_MAX:
                raise handed_back("queue_full", outgoing, may_be_taken=False)
            self.size += 1
            self._bytes += length

    def settle(self, outgoing: Outgoing) -> None:
        with self._lock:
            self.size -= 1
            self._bytes -= len(outgoing.body or b"")


class Sending:
    """One request on its way. `until` says, each time it is asked, when to give up."""

    def __init__(
        self,
        setting: Setting,
        outgoing: Outgoing,
        until: Callable[[], float],
        on_fault: Callable[[BellwireError], None] | None = None,
    ) -> None:
        #: Is told of the first try that fails.
        self._on_fault = on_fault
        self._setting = setting
        self._outgoing = outgoing
        self._until = until
        self._backoff = setting.backoff()
        self._may_be_taken = False
        self._has_refreshed = False
        #: What the last try failed with.
        self._fault: BellwireError | None = None

    def run(self) -> Flow[Any]:
        """Returns what the server answers; raises its refusal, or `UnsentError`."""
        while True:
            left = self._until() - self._setting.clock()
            if left <= 0:
                raise self._handed_back("unanswered")
            try:
                answer: Any = yield from self._try(min(TRY_S, left))
                return answer
            except Closed:
                raise self._handed_back("closed") from None
            except BellwireError as error:
                wait = self._wait_behind(error)
            try:
                yield Sleep(min(wait, self._until() - self._setting.clock()))
            except Closed:
                raise self._handed_back("closed") from None

    def ask(self, shown: str | None, seconds: float) -> Flow[Any]:
        """Tries it once, under that token."""
        request = self._outgoing.request(self._setting.base, shown)
        had_been, self._may_be_taken = self._may_be_taken, True
        try:
            answer: Answer = yield Ask(request, seconds, ANSWER_BYTES_MAX)
        except ConnectionError as error:
            self._may_be_taken = had_been or error.was_sent
            raise
        if answer.is_success:
            return _taken(answer, self._outgoing.members)
        refused = refusal(answer)
        if had_been and refused.code == self._outgoing.done_by:
            return None
        self._may_be_taken = had_been or refused.may_be_taken
        raise refused

    def _try(self, seconds: float) -> Flow[Any]:
        token = self._setting.token
        shown = yield from token.get()
        try:
            answer: Any = yield from self.ask(shown, seconds)
            return answer
        except ProblemError as error:
            if remedy(error) != "token" or not token.can_refresh or self._has_refreshed:
                raise
        self._has_refreshed = True
        shown = yield from token.refresh(shown)
        answer = yield from self.ask(shown, seconds)
        return answer

    def _wait_behind(self, error: BellwireError) -> float:
        """How long to wait for the next try, in seconds; raises where there is none."""
        if self._fault is None and self._on_fault is not None:
            self._on_fault(error)
        self._fault = error
        if remedy(error) != "later":
            if isinstance(error, ProblemError):
                # What it is refused for now an earlier try may have done all the same.
                error.may_be_taken = self._may_be_taken
            raise error
        if self._may_be_taken and not self._outgoing.is_repeatable:
            raise self._handed_back("unanswered")
        asked_s = error.retry_after_s if isinstance(error, ProblemError) else None
        return max(asked_s or 0.0, self._backoff.next())

    def _handed_back(self, code: str) -> UnsentError:
        error = handed_back(code, self._outgoing, self._may_be_taken)
        error.__cause__ = self._fault
        return error


def _taken(answer: Answer, members: tuple[str, ...]) -> dict[str, Any] | None:
    """What the server says of what it has taken; what another says in its place is no answer."""
    value = answer.json()
    if isinstance(value, dict) and (not members or any(name in value for name in members)):
        return value
    if value is None and answer.status == 204:
        return None
    raise ProtocolError("not_bellwire", "the answer says nothing: is it a Bellwire?")


def handed_back(code: str, outgoing: Outgoing, may_be_taken: bool) -> UnsentError:
    message = f"{outgoing.method} {outgoing.path}: {_HANDED_BACK[code]}"
    return UnsentError(code, message, outgoing.idempotency_key, may_be_taken)
