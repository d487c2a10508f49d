"""What a subscription comes over: Server-Sent Events, or long polls."""

from __future__ import annotations

from typing import Any

from .answers import ANSWER_BYTES_MAX, REFUSAL_BYTES_MAX, Answer, Body, Head, refusal
from .effects import Flow, HangUp, Open, Read, Sleep
from .errors import BellwireError, ConnectionError, ProtocolError
from .following import Following, Transport
from .items import Item, item_from, item_of, items_of, json_of, malformed
from .link import CONNECT_S, Link
from .sse import SseParser

_STREAM = "text/event-stream"
_JSON = "application/json"

#: How long a poll waits for something.
POLL_WAIT_S = 25
#: How long to wait between two polls of which the first had what comes each time, or nothing at once.
POLL_PAUSE_S = 1.0
#: Of an older server, which does not say whether `more` is there: with fewer events than this all is
#: there,
POLL_EVENTS_MAX = 1_000
#: where the answer has fewer bytes, too: a page ends at 1 MiB of them.
POLL_BYTES_MIN = 512 * 1024


def stream(following: Following, link: Link) -> Flow[None]:
    """Reads until all topics have ended; raises where the stream ends otherwise."""
    clock = following.setting.clock
    until = clock() + CONNECT_S
    # Statuses can be read, and none is needed in the stream.
    head: Head = yield Open(following.request(link, _STREAM, refusals="status"), CONNECT_S)
    if head.status == 204:
        return
    if not head.is_success:
        raise (yield from _refusal(head))
    if not head.is_of(_STREAM):
        raise _other("no stream of events", following)
    parser = SseParser()
    first_s = max(0.0, until - clock())
    piece: bytes = yield Read(first_s)
    while piece:
        yield from following.came(link)
        try:
            events = parser.feed(piece)
        except ValueError as fault:
            raise malformed() from fault
        for event in events:
            yield from following.item(link, item_of(event.data))
        piece = yield Read(link.patience_s)
    raise ConnectionError("connection_lost", "the stream has ended")


def poll(following: Following, link: Link) -> Flow[None]:
    """Polls until all topics have ended."""
    is_ready = False
    was_narrowed: Any = None
    was_degraded = False
    while True:
        # The first does not wait: what comes tells that polls come through.
        wait_s = POLL_WAIT_S if is_ready else 0
        # Without `changes` all values come with each answer, at once.
        request = following.request(link, _JSON, state="changes", wait=f"{wait_s}s")
        asked_at = following.setting.clock()
        head: Head = yield Open(request, wait_s + CONNECT_S)
        if head.status == 204:
            return
        if not head.is_success:
            raise (yield from _refusal(head))
        page, body_bytes = yield from _page(head, following)
        yield HangUp()
        yield from following.came(link)
        # It comes with each answer; told is what is new.
        if page.get("narrowed") == was_narrowed:
            page.pop("narrowed", None)
        else:
            was_narrowed = page.get("narrowed")
        for item in _items(page):
            yield from following.item(link, item)
        was_ready = is_ready
        is_whole = not _has_more(page, body_bytes)
        told: dict[str, Any] = {"control": "heartbeat", "cursor": page.get("cursor")}
        if is_whole and not is_ready:
            is_ready = True
            told = {**told, "control": "ready", "heartbeat_interval_ms": POLL_WAIT_S * 1_000}
        yield from following.item(link, item_from(told))
        # What is told before it is ready is void with that.
        degraded = page.get("degraded") if is_ready else None
        if degraded and not was_degraded:
            yield from following.item(link, item_from(degraded))
        elif was_degraded and not degraded:
            yield from following.item(link, item_from({"control": "restored"}))
        was_degraded = bool(degraded)
        # Where something between does not wait, this side does.
        took_s = following.setting.clock() - asked_at
        is_hasty = was_ready and not page["events"] and took_s < POLL_PAUSE_S
        if is_hasty or (is_ready and page.get("reset")):
            yield Sleep(POLL_PAUSE_S)


TRANSPORTS: dict[str, Transport] = {"sse": stream, "poll": poll}


def _items(page: dict[str, Any]) -> list[Item]:
    """What an answer holds, in its order."""
    narrowed = page.get("narrowed")
    before = [{"control": "narrowed", "topics": narrowed}] if narrowed else []
    before += [page[name] for name in ("gap", "reset") if page.get(name)]
    ends = page.get("ends") or []
    return [*map(item_from, before), *items_of(page), *map(item_from, ends)]


def _has_more(page: dict[str, Any], body_bytes: int) -> bool:
    """Whether there is, or may be, something that the answer had no room for."""
    if page.get("values_left_out"):
        return True
    more, events = page.get("more"), page["events"]
    if isinstance(more, bool):
        return more
    return len(events) >= POLL_EVENTS_MAX or body_bytes > POLL_BYTES_MIN


def _page(head: Head, following: Following) -> Flow[tuple[dict[str, Any], int]]:
    """What a poll is answered, and in how many bytes."""
    body = yield from _whole(ANSWER_BYTES_MAX)
    page = None
    if head.is_of(_JSON):
        try:
            page = json_of(body.decode())
        except UnicodeDecodeError as fault:
            raise malformed() from fault
    if not isinstance(page, dict) or not isinstance(page.get("events"), list):
        raise _other("no events", following)
    return page, len(body)


def _refusal(head: Head) -> Flow[BellwireError]:
    """What an answer says that is no success; its status is enough where the rest does not come."""
    try:
        body = yield from _whole(REFUSAL_BYTES_MAX)
    except (ConnectionError, ProtocolError):
        body = b""
    return refusal(Answer(head.status, head.headers, body))


def _whole(bytes_max: int) -> Flow[bytes]:
    """What is open, to its end."""
    body = Body(bytes_max)
    while True:
        piece: bytes = yield Read(CONNECT_S)
        if not piece:
            return bytes(body)
        body.add(piece)


def _other(what: str, following: Following) -> ProtocolError:
    base = following.setting.base
    return ProtocolError("not_bellwire", f"{base} answers with {what}: is it a Bellwire?")
