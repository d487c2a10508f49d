"""Samples that wait to be sent: of a sensor that measures whether there is a network or not."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .effects import Flow, Idle
from .errors import BellwireError, ProblemError, UnsentError
from .outgoing import json_bytes, measuring
from .sending import Sending, Setting

#: A measured value: `name`, `value`, and perhaps `labels` and `timestamp`.
Sample = Mapping[str, Any]
#: Is told of samples that could not be sent, and why.
OnUnsent = Callable[[Sequence[Sample], BellwireError], Any]

#: What samples that wait may come to: some 80,000, which is most of a day at one a second.
QUEUE_BYTES_MAX = 16 * 1024 * 1024
#: What each of them is counted as beside its JSON.
SAMPLE_OVERHEAD_BYTES = 100
#: How many samples go in a request: of so many the server says of each what was wrong with it.
BATCH_SAMPLES_MAX = 100
#: How long what waits is still tried when it is closed, in seconds.
CLOSE_S = 5.0

_log = logging.getLogger("bellwire")


def sample_of(
    name: str, value: float, labels: Mapping[str, str] | None, timestamp: int | None
) -> dict[str, Any]:
    """One as it is sent, of now where nothing else is said.

    `TypeError` or `ValueError` where its value is no number.
    """
    at = round(time.time() * 1_000) if timestamp is None else timestamp
    sample: dict[str, Any] = {"name": name, "value": float(value), "timestamp": at}
    if labels:
        sample["labels"] = dict(labels)
    return sample


def samples_body(samples: Sequence[Sample]) -> tuple[bytes, bool]:
    """Their JSON, and whether they count once however often they are sent."""
    return json_bytes(samples), all("timestamp" in sample for sample in samples)


class SampleQueue:
    """Holds samples as the JSON that is sent, the oldest first, within a bound of bytes.

    Some threads may add while another one takes.
    """

    def __init__(self, bytes_max: int = QUEUE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, sample: Sample) -> list[Sample]:
        """Those that have to give way, the oldest: what is newest tells most.

        `TypeError` or `ValueError` where it is no JSON.
        """
        text = json_bytes(sample)
        given_way = []
        with self._lock:
            self._waiting.append(text)
            self._bytes += _size(text)
            while self._bytes > self._bytes_max:
                given_way.append(self._take())
        return [json.loads(text) for text in given_way]

    def take(self, count: int) -> list[bytes]:
        """The oldest, so many at most; they are there no more."""
        with self._lock:
            return [self._take() for _ in range(min(count, len(self._waiting)))]

    def _take(self) -> bytes:
        text = self._waiting.popleft()
        self._bytes -= _size(text)
        return text


def _size(text: bytes) -> int:
    return len(text) + SAMPLE_OVERHEAD_BYTES


class Sampling:
    """The flow that sends what is in a queue, for as long as it takes, until it is closed."""

    def __init__(self, setting: Setting, queue: SampleQueue, on_unsent: OnUnsent | None) -> None:
        self._setting = setting
        self._queue = queue
        self._on_unsent = on_unsent
        #: When what waits is given up.
        self._until = float("inf")
        #: Those on their way.
        self._batch: list[bytes] = []
        self._is_given_up = False
        #: What moves a sample from one place to another holds it.
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many are not sent."""
        return len(self._queue) + len(self._batch)

    def add(self, sample: Sample) -> None:
        """`UnsentError` where it has ended."""
        with self._lock:
            if self._is_given_up:
                raise UnsentError("closed", "the sampler is closed", samples=[sample])
            given_way = self._queue.add(sample)
        if given_way:
            message = "too many samples wait to be sent: the oldest give way"
            self._hand_back(given_way, UnsentError("queue_full", message, samples=given_way))

    def close(self, seconds: float) -> None:
        """What waits is tried for so long."""
        self._until = min(self._until, self._setting.clock() + seconds)

    def give_up(self) -> None:
        """What is left is handed back, once; what becomes of it is told no more."""
        with self._lock:
            if self._is_given_up:
                return
            left = [*self._batch, *self._queue.take(len(self._queue))]
            self._batch = []
            self._is_given_up = True
        if left:
            samples = [json.loads(text) for text in left]
            message = f"{len(samples)} samples were not sent when it was closed"
            error = UnsentError("closed", message, may_be_taken=True, samples=samples)
            self._tell(samples, error)

    def run(self) -> Flow[None]:
        while True:
            with self._lock:
                self._batch = self._queue.take(BATCH_SAMPLES_MAX)
            if self._batch:
                try:
                    yield from self._send()
                except UnsentError:
                    return
            elif self._until < float("inf"):
                return
            else:
                yield Idle()

    def _send(self) -> Flow[None]:
        body = b"[" + b",".join(self._batch) + b"]"
        # They have their times: sent again they are the same.
        outgoing = measuring(body, is_repeatable=True)
        try:
            sending = Sending(self._setting, outgoing, lambda: self._until, _warn)
            answer = yield from sending.run()
            batch, self._batch = self._batch, []
            told = {"code": "samples_invalid", "errors": (answer or {}).get("errors")}
            refusal = ProblemError(400, told)
            if refusal.errors:
                self._refused(batch, refusal)
        except ProblemError as error:
            batch, self._batch = self._batch, []
            self._refused(batch, error)

    def _refused(self, batch: list[bytes], error: ProblemError) -> None:
        """Those that the errors name, or all."""
        lines = [entry.get("line") for entry in error.errors]
        numbers = [line for line in lines if isinstance(line, int) and 0 < line <= len(batch)]
        refused = [batch[line - 1] for line in numbers] if numbers else batch
        self._hand_back([json.loads(text) for text in refused], error)

    def _hand_back(self, samples: Sequence[Sample], error: BellwireError) -> None:
        if not self._is_given_up:
            self._tell(samples, error)

    def _tell(self, samples: Sequence[Sample], error: BellwireError) -> None:
        if self._on_unsent is None:
            _log.warning("%d samples were not taken: %s", len(samples), error)
            return
        try:
            self._on_unsent(samples, error)
        except Exception:
            # What comes next is to be sent all the same.
            _log.exception("what was to be told of samples that were not taken has failed")


def _warn(error: BellwireError) -> None:
    """Said once of each outage; a refusal is told with what it refuses."""
    if not isinstance(error, ProblemError):
        _log.warning("samples wait until they can be sent: %s", error)
