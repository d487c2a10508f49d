"""What can go wrong, as types: `code` is for programs, the text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .samples import Sample


#: Codes of those that may have done it where nobody says whether: what orders it, or passes it on, was
#: away, or something else has answered.
_UNSURE = ("journal_unavailable", "desk_away", "unexpected_status")


class BellwireError(Exception):
    """The base of all errors that come from here; wrong arguments are `ValueError` or `TypeError`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ProblemError(BellwireError):
    """The server, or something before it, refuses.

    `code` is that of the problem, or `unexpected_status` where the answer is no problem of Bellwire's.
    """

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_s: float | None = None
    ) -> None:
        errors = problem.get("errors")
        #: Of `samples_invalid`: what is wrong with which, by its `line`, from 1.
        self.errors: Sequence[Mapping[str, Any]] = [
            error
            for error in (errors if isinstance(errors, list) else [])
            if isinstance(error, dict)
        ]
        code = problem.get("code")
        named = code if isinstance(code, str) else "unexpected_status"
        detail = problem.get("detail") or (self.errors[0].get("detail") if self.errors else None)
        super().__init__(named, f"{status} {named}" + (f": {detail}" if detail else ""))
        self.status = status
        #: When another try is worth it, in seconds; where the server says so.
        self.retry_after_s = retry_after_s
        #: Of `condition_failed`: the version that the key has, where there is one.
        self.version: str | None = problem.get("version")
        told = problem.get("may_be_taken")
        #: Whether what was asked for may have been done all the same, by an earlier try, too.
        self.may_be_taken: bool = told if isinstance(told, bool) else named in _UNSURE


class ConnectionError(BellwireError):
    """`connection_failed`, `connection_lost` or `connection_silent`: it is tried again by itself."""

    def __init__(self, code: str, message: str, was_sent: bool = True) -> None:
        super().__init__(code, message)
        #: Whether the server may have got what was sent.
        self.was_sent = was_sent


class ProtocolError(BellwireError):
    """`not_bellwire` or `frame_malformed`: what came is not what Bellwire sends."""


class TokenError(BellwireError):
    """`token_unavailable`: the function that gives tokens has failed; it is asked again."""


class UnsentError(BellwireError):
    """What was to be sent is handed back: `queue_full`, `unanswered` (in time) or `closed`.

    The same `idempotency_key` makes it safe to send an event again.
    """

    def __init__(
        self,
        code: str,
        message: str,
        idempotency_key: str | None = None,
        may_be_taken: bool = False,
        samples: Sequence[Sample] = (),
    ) -> None:
        super().__init__(code, message)
        #: Of an event.
        self.idempotency_key = idempotency_key
        #: Whether the server may have taken it all the same.
        self.may_be_taken = may_be_taken
        #: The samples, where it was samples.
        self.samples = samples
