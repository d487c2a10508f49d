"""What can be seen of a subscription or sampler from outside, the same of both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import UnsentError
from .samples import sample_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .following import Following
    from .samples import Sampling


class SubscriptionState:
    """How far a subscription is."""

    def __init__(self, following: Following) -> None:
        self._following = following

    @property
    def cursor(self) -> str | None:
        """Behind what was given: to go on from it misses nothing."""
        return self._following.cursor

    @property
    def status(self) -> str:
        """`connecting`, `live`, `waiting` or `closed`."""
        return self._following.status


class SamplerState:
    """What a sampler still has."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._is_closed = False

    @property
    def unsent(self) -> int:
        """How many samples wait, or are on their way."""
        return self._sampling.size

    def _queue(
        self, name: str, value: float, labels: Mapping[str, str] | None, timestamp: int | None
    ) -> None:
        sample = sample_of(name, value, labels, timestamp)
        if self._is_closed:
            raise UnsentError("closed", "the sampler is closed", samples=[sample])
        self._sampling.add(sample)
