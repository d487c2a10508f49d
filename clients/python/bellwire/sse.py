"""Server-Sent Events from bytes that come in pieces, as the HTML standard reads them."""

from __future__ import annotations

from typing import NamedTuple

#: What a line and the event that it is of may come to.
SSE_EVENT_BYTES_MAX = 16 * 1024 * 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event of the stream."""

    #: `event:`, or `message`.
    type: str
    #: The lines of `data:`.
    data: str
    #: The last `id:` so far.
    id: str


class SseParser:
    """Takes a stream as it comes, and gives its events."""

    def __init__(self) -> None:
        #: The last `id:` that the end of a block, with data or without, has made count.
        self.last_event_id = ""
        #: The last `retry:`, in milliseconds.
        self.retry_ms: int | None = None
        self._head: bytes | None = b""
        #: The beginning of a line whose end has not come, in pieces: joined once, when it has.
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        #: The last byte was a carriage return: a line feed behind it ends no other line.
        self._is_after_return = False
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._type = b""
        self._id = b""

    def feed(self, piece: bytes) -> list[SseEvent]:
        """The events that end with the next piece.

        `ValueError` where one is longer than any may be, or is not UTF-8.
        """
        piece = self._without_mark(piece)
        if not piece:
            return []
        if self._is_after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._is_after_return = piece.endswith(b"\r") if piece else False
        events: list[SseEvent] = []
        if b"\n" in piece or b"\r" in piece:
            lines = b"".join([*self._rest, piece]).splitlines(keepends=True)
            self._rest, self._rest_bytes = [], 0
            if not lines[-1].endswith((b"\n", b"\r")):
                self._keep(lines.pop())
            for line in lines:
                event = self._line(line.rstrip(b"\r\n"))
                if event is not None:
                    events.append(event)
        elif piece:
            self._keep(piece)
        if self._rest_bytes + self._data_bytes > SSE_EVENT_BYTES_MAX:
            raise ValueError("an event is too long")
        return events

    def _without_mark(self, piece: bytes) -> bytes:
        """What comes behind the byte order mark with which a stream may begin."""
        if self._head is None:
            return piece
        self._head += piece
        if len(self._head) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(self._head):
            return b""
        head, self._head = self._head, None
        return head.removeprefix(_BYTE_ORDER_MARK)

    def _keep(self, piece: bytes) -> None:
        self._rest.append(piece)
        self._rest_bytes += len(piece)

    def _line(self, line: bytes) -> SseEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            # One without a value takes room, too.
            self._data_bytes += len(value) + 1
        elif name == b"event":
            self._type = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        elif name == b"retry" and value.isdigit() and len(value) < 16:
            self.retry_ms = int(value)
        return None

    def _dispatch(self) -> SseEvent | None:
        data, kind = self._data, self._type
        self._data, self._data_bytes, self._type = [], 0, b""
        self.last_event_id = self._id.decode()
        # One empty line of data is data, too.
        if not data:
            return None
        return SseEvent(kind.decode() or "message", b"\n".join(data).decode(), self.last_event_id)
