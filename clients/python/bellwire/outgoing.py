"""What can be asked of a server, as requests that are made but not sent yet."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from .effects import Request

if TYPE_CHECKING:
    from typing import TypedDict

    class PublishOptions(TypedDict, total=False):
        """How an event is published."""

        #: The event's key; a state topic needs one.
        key: str
        type: str
        #: Events with the same one are published once; one is made by default.
        idempotency_key: str
        #: Of `bytes`; `application/octet-stream` by default.
        content_type: str
        #: State topics: only if the key has this version.
        if_version: str
        #: State topics: only if there is no such key.
        if_absent: bool
        #: State topics: after which time the key goes by itself, such as `30s`.
        ttl: str
        #: The topic ends with this event, or without data by itself; `False` without data reopens it.
        end: bool


#: In place of data: there is none.
NO_DATA: Any = object()


@dataclass(frozen=True)
class Outgoing:
    """What to ask of the server, below its address."""

    method: str
    path: str
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytes | None = None
    #: Whether it does the same when it comes twice. If not, it is not sent again once it may be there.
    is_repeatable: bool = True
    idempotency_key: str | None = None
    #: The code of the refusal by which it is done, where it was sent before.
    done_by: str | None = None
    #: What an answer holds at least one of; where nothing is named it is any object.
    members: tuple[str, ...] = ()

    def request(self, base: str, token: str | None) -> Request:
        """It as a request to the server at that address."""
        headers = [*self.headers, *authorization(token)]
        return Request(self.method, base + self.path, headers, self.body)


def publishing(topic: str, data: Any, **options: Any) -> Outgoing:
    """`options` are those of `PublishOptions`."""
    names = ("key", "type", "if_version", "ttl")
    wrong = set(options) - {*names, "if_absent", "end", "idempotency_key", "content_type"}
    if wrong:
        raise TypeError(f"there is no option {', '.join(sorted(wrong))} of what is published")
    end = options.get("end")
    if data is NO_DATA and end is None:
        raise TypeError("there is no data to publish")
    idempotency_key = options.get("idempotency_key") or secrets.token_hex(16)
    headers = [("idempotency-key", _header("idempotency_key", idempotency_key))]
    for name in names:
        text = options.get(name)
        if text is not None:
            headers.append((f"bellwire-{name.replace('_', '-')}", _header(name, text)))
    if options.get("if_absent"):
        headers.append(("bellwire-if-absent", b"true"))
    if end:
        headers.append(("bellwire-end", b"true"))
    elif data is NO_DATA:
        headers.append(("bellwire-end", b"false"))
    body: bytes | None = None
    if isinstance(data, (bytes, bytearray, memoryview)):
        content_type = options.get("content_type") or "application/octet-stream"
        headers.append(("content-type", _header("content_type", content_type)))
        body = bytes(data)
    elif data is not NO_DATA:
        headers.append(("content-type", b"application/json"))
        body = json_bytes(data)
    # A condition that held once does not hold for what it has written.
    is_repeatable = options.get("if_version") is None and not options.get("if_absent")
    return Outgoing(
        "POST",
        _topic_path(topic),
        headers,
        body,
        is_repeatable,
        idempotency_key,
        members=("cursor", "version", "end", "reopened"),
    )


def deleting(topic: str, key: str, if_version: str | None = None) -> Outgoing:
    """Of a state topic."""
    parameters = {"key": key}
    if if_version is not None:
        parameters["if_version"] = if_version
    path = f"{_topic_path(topic)}?{urlencode(parameters)}"
    is_repeatable = if_version is None
    return Outgoing("DELETE", path, is_repeatable=is_repeatable, done_by="key_not_found")


def measuring(body: bytes, is_repeatable: bool) -> Outgoing:
    """Samples, as JSON."""
    headers = _json_headers()
    return Outgoing("POST", "v1/samples", headers, body, is_repeatable, members=("accepted",))


def acknowledging(fingerprint: str, by: str, note: str | None) -> Outgoing:
    acknowledgement = {"by": by} if note is None else {"by": by, "note": note}
    path = f"v1/alerts/{_segment(fingerprint)}/ack"
    return Outgoing("POST", path, _json_headers(), json_bytes(acknowledgement))


def unacknowledging(fingerprint: str) -> Outgoing:
    return Outgoing("DELETE", f"v1/alerts/{_segment(fingerprint)}/ack")


def renewing(renews: str) -> Outgoing:
    body = json_bytes({"renews": renews})
    return Outgoing("POST", "v1/session/token", _json_headers(), body)


def reading(topic: str, **parameters: Any) -> Outgoing:
    """A page of a stream's history, or the values of a state topic."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return Outgoing("GET", f"{_topic_path(topic)}?{urlencode(given)}", _accept_json())


def events_path(parameters: Sequence[tuple[str, str]]) -> str:
    return f"v1/events?{urlencode(parameters)}"


def authorization(token: str | None) -> list[tuple[str, bytes]]:
    return [] if token is None else [("authorization", b"Bearer " + token.encode())]


def base_of(url: str) -> str:
    """The server's address, with a slash behind it so that paths can follow."""
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"`{url}` is no address of a server: it begins with http:// or https://")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"


def filters_of(filters: str | Sequence[str]) -> list[str]:
    """One is as good as a list of one."""
    return [filters] if isinstance(filters, str) else list(filters)


def json_bytes(value: Any) -> bytes:
    """`TypeError` or `ValueError` where it is none."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _header(name: str, text: str) -> bytes:
    """A value as the bytes of its characters."""
    if not isinstance(text, str):
        raise TypeError(f"{name} is text")
    if not text or text != text.strip() or any(c < " " or c == "\x7f" for c in text):
        raise ValueError(
            f"{name}: {text!r} cannot be sent: it is empty, or has white space around it "
            "or control characters in it"
        )
    return text.encode()


def _topic_path(topic: str) -> str:
    if not topic:
        raise ValueError("a topic has a name")
    return "v1/topics/" + "/".join(map(_segment, topic.split("/")))


def _segment(text: str) -> str:
    # Dots alone would lead elsewhere in a path.
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def _json_headers() -> list[tuple[str, bytes]]:
    return [("content-type", b"application/json")]


def _accept_json() -> list[tuple[str, bytes]]:
    return [("accept", b"application/json")]
