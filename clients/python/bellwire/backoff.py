"""How long to wait before the next try.

Full jitter, so that not all who lost one server come back to it at once.
"""

from __future__ import annotations

from typing import Callable

#: What the first wait is drawn below, in seconds.
BACKOFF_FIRST_S = 1.0
#: What no wait is drawn above.
BACKOFF_MAX_S = 30.0


class Backoff:
    """`random` gives numbers from 0 to 1, as `random.random` does."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._bound_s = BACKOFF_FIRST_S

    def next(self) -> float:
        """The next wait in seconds; each is drawn below twice the bound of the one before."""
        bound = self._bound_s
        self._bound_s = min(BACKOFF_MAX_S, bound * 2)
        return self._random() * bound

    def reset(self) -> None:
        """What was tried went well for a while."""
        self._bound_s = BACKOFF_FIRST_S
