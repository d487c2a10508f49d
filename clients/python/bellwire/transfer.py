"""Requests and answers as httpx has them, the same for both clients."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import httpx

from .answers import Head
from .effects import Request
from .errors import ConnectionError

#: With `Timeout`: none is shorter, in seconds; nought would be no wait at all.
_SECONDS_MIN = 0.001

#: What httpx raises where a connection does not do what it should.
FAULTS: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    OSError,
)

#: Of these it is known that nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

#: For requests, where the application gives no client of its own.
REQUEST_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
#: For streams: each is a connection of its own, so that to cut it off cuts off nothing else.
STREAM_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)


@functools.lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """Whose certificates count, as httpx has it; to read them takes a while."""
    return httpx.create_ssl_context()


def built(
    http: httpx.Client | httpx.AsyncClient,
    request: Request,
    seconds: float,
    **extensions: Any,
) -> httpx.Request:
    """No single read or write of it takes longer than so many seconds."""
    return http.build_request(
        request.method,
        request.url,
        headers=[(name.encode(), value) for name, value in request.headers],
        content=request.body,
        timeout=httpx.Timeout(max(seconds, _SECONDS_MIN)),
        extensions=extensions,
    )


def head_of(response: httpx.Response) -> Head:
    headers: dict[str, str] = dict(response.headers.items())
    return Head(response.status_code, headers)


def unanswered(fault: Exception, url: str) -> ConnectionError:
    """There is no answer."""
    what = str(fault) or type(fault).__name__
    message = f"no answer from {httpx.URL(url).host}: {what}"
    return ConnectionError("connection_failed", message, not isinstance(fault, _UNSENT))


def lost(fault: Exception) -> ConnectionError:
    """There is an answer, but not to its end."""
    return ConnectionError("connection_lost", f"the connection broke off: {fault}")


def silent(seconds: float) -> ConnectionError:
    return ConnectionError("connection_silent", f"nothing has come for {seconds:.3g} s")
