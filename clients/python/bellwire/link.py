"""One connection, and how long it may be silent."""

from __future__ import annotations

from dataclasses import dataclass

#: How long a connection may take until its first byte, in seconds.
CONNECT_S = 15.0
#: The interval of heartbeats until the server has said its own.
HEARTBEAT_S = 25.0
#: How many intervals may pass in silence.
HEARTBEATS_MISSED = 2.5
#: In place of a limit: none.
NEVER_S = 365.0 * 86_400


@dataclass
class Link:
    """What is known of it."""

    token: str | None = None
    #: When it was told to be live.
    ready_at: float | None = None
    #: How long it may be silent.
    patience_s: float = CONNECT_S

    def sign(self) -> None:
        """Something has come."""
        if self.patience_s == CONNECT_S and self.ready_at is None:
            self.patience_s = HEARTBEAT_S * HEARTBEATS_MISSED

    def ready(self, now: float, heartbeat_s: float) -> None:
        """The server has said how often it gives a sign."""
        self.ready_at = now
        self.patience_s = heartbeat_s * HEARTBEATS_MISSED if heartbeat_s > 0 else NEVER_S
