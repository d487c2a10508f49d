"""The client of Bellwire: subscriptions that resume by themselves, sending that loses nothing in silence."""

from .aio_client import AsyncClient, AsyncSampler, AsyncSubscription
from .client import Client, Sampler, Subscription
from .errors import (
    BellwireError,
    ConnectionError,
    ProblemError,
    ProtocolError,
    TokenError,
    UnsentError,
)
from .following import CursorStore, Status
from .items import Control, Event, Item
from .sse import SseEvent, SseParser

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncSampler",
    "AsyncSubscription",
    "BellwireError",
    "Client",
    "ConnectionError",
    "Control",
    "CursorStore",
    "Event",
    "Item",
    "ProblemError",
    "ProtocolError",
    "Sampler",
    "SseEvent",
    "SseParser",
    "Status",
    "Subscription",
    "TokenError",
    "UnsentError",
]
