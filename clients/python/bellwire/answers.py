"""Answers and refusals, the same for streams and for what is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from .errors import BellwireError, ProblemError, ProtocolError
from .items import json_of

#: What no `Retry-After` is believed beyond: a date that is wrong would keep a program silent.
RETRY_AFTER_MAX_S = 300.0
#: What an answer may come to: 16 MiB of values, with what is around them.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
#: What is read of a refusal.
REFUSAL_BYTES_MAX = 64 * 1024


@dataclass(frozen=True)
class Head:
    """What comes before a body; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def is_of(self, media_type: str) -> bool:
        """Whether that is the type of its body."""
        return self.headers.get("content-type", "").lower().startswith(media_type)


@dataclass(frozen=True)
class Answer(Head):
    body: bytes

    def json(self) -> Any:
        """What it says, nothing being `None`; `ProtocolError` where it is no JSON."""
        if not self.body:
            return None
        try:
            return json_of(self.body.decode())
        except (ProtocolError, UnicodeDecodeError) as fault:
            raise ProtocolError(
                "not_bellwire", "the answer is no JSON: is it a Bellwire?"
            ) from fault


class Body:
    """A body that grows up to a bound."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._pieces: list[bytes] = []
        self._bytes = 0

    def add(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > self._bytes_max:
            raise ProtocolError(
                "not_bellwire", f"the answer is longer than {self._bytes_max} bytes"
            )
        self._pieces.append(piece)

    def __bytes__(self) -> bytes:
        return b"".join(self._pieces)


def refusal(answer: Answer) -> ProblemError:
    """What an answer that is no success says."""
    problem: Any = {}
    if answer.is_of("application/problem+json"):
        try:
            problem = json.loads(answer.body)
        except (ValueError, RecursionError):
            # Its status tells enough.
            pass
    retry_after_s = _retry_after(answer.headers.get("retry-after", ""))
    return ProblemError(answer.status, problem if isinstance(problem, dict) else {}, retry_after_s)


def _retry_after(text: str) -> float | None:
    try:
        seconds = (
            float(text)
            if text.isascii() and text.isdigit()
            else parsedate_to_datetime(text).timestamp() - time.time()
        )
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(seconds, RETRY_AFTER_MAX_S) if seconds >= 0 else None


def remedy(error: BellwireError) -> str:
    """What to do about it: `none` (another try does not help), `later`, or `token` (a newer one)."""
    if not isinstance(error, ProblemError):
        return "later"
    if error.status in (401, 403):
        return "token"
    return "later" if error.status >= 500 or error.status in (408, 425, 429) else "none"
