"""What comes in a stream: events and control events."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, NoReturn, Union

from .errors import ProtocolError


@dataclass(frozen=True)
class Event:
    """One event of a topic."""

    topic: str
    #: JSON as Python has it, text, or `bytes`; of a key that is gone `None`.
    data: Any
    #: On a state topic, which value this replaces.
    key: str | None = None
    type: str | None = None
    #: Milliseconds since 1970, UTC.
    time: int = 0
    #: To go on from it misses nothing; state topics have one with `state="changes"` only.
    cursor: str | None = None
    #: Of a state topic that clients may write: which version of its key this is.
    version: str | None = None
    #: The media type of `bytes`.
    content_type: str | None = None
    #: The key of a state topic is gone.
    deleted: bool = False
    #: As it came, with members that a later version may have added.
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Control:
    """A control event, such as `ready` or `gap`."""

    control: str
    cursor: str | None = None
    #: As it came: `raw["reason"]` of a gap.
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


Item = Union[Event, Control]


def item_of(text: str) -> Item:
    """The event or control event that the text is; `ProtocolError` where it is none."""
    return item_from(json_of(text))


def json_of(text: str) -> Any:
    """What the JSON says; `ProtocolError` where it is none."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as fault:
        raise malformed() from fault


def item_from(raw: Any) -> Item:
    """The same of what was read already."""
    if not isinstance(raw, dict) or not ("topic" in raw or "control" in raw):
        raise ProtocolError("not_bellwire", "what comes are no events of Bellwire")
    cursor = raw.get("cursor") or None
    if not isinstance(cursor, (str, type(None))):
        raise malformed()
    if "control" in raw:
        return Control(str(raw["control"]), cursor, raw)
    data = raw.get("data")
    if raw.get("encoding") == "base64":
        try:
            data = base64.b64decode(data or "", validate=True)
        except (ValueError, TypeError) as fault:
            raise malformed() from fault
    return Event(
        topic=raw["topic"],
        data=data,
        key=raw.get("key"),
        type=raw.get("type"),
        time=raw.get("time", 0),
        cursor=cursor,
        version=raw.get("version"),
        content_type=raw.get("content_type"),
        deleted=raw.get("deleted") is True,
        raw=raw,
    )


def items_of(answer: dict[str, Any]) -> list[Event]:
    """The events of an answer that holds some."""
    events = [item_from(raw) for raw in answer["events"]]
    return [event for event in events if isinstance(event, Event)]


def malformed() -> ProtocolError:
    """What came can be no event."""
    return ProtocolError(
        "frame_malformed", "what came is no event: something between has changed it?"
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
