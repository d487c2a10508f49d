"""The token that is shown: asked for when it is needed, and once for all who need a newer one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Callable, Optional, Union

from .effects import Call, Flow, InTurn
from .errors import TokenError

#: A token or API key, or a function that gives one; none where that gives `None`.
TokenSource = Union[str, Callable[[], Optional[str]], Callable[[], Awaitable[Optional[str]]], None]

#: In place of a token: none has been asked for, or none counts no more.
_NO_TOKEN: Any = object()


class Token:
    """The newest one, the same for all streams and requests of a client."""

    def __init__(self, source: TokenSource) -> None:
        if source is not None and not isinstance(source, str) and not callable(source):
            raise TypeError("a token is text, or a function that gives it")
        self._source = source
        self._newest: str | None = _NO_TOKEN
        self.can_refresh = callable(source)

    def get(self) -> Flow[str | None]:
        """Raises `TokenError` where the function fails; the next call asks it anew."""
        return self._newer(_NO_TOKEN)

    def refresh(self, old: str | None) -> Flow[str | None]:
        """The token counts no more. Who says so of one that was replaced already gets the newer one."""
        return self._newer(old)

    def _newer(self, old: str | None) -> Flow[str | None]:
        if self._newest is not _NO_TOKEN and self._newest != old:
            return self._newest
        newest: str | None = yield InTurn("token", lambda: self._ask(old))
        return newest

    def _ask(self, old: str | None) -> Flow[str | None]:
        # Somebody else may have asked meanwhile.
        if self._newest is _NO_TOKEN or self._newest == old:
            self._newest = _NO_TOKEN
            token = self._source
            if callable(token):
                try:
                    token = yield Call(token)
                except Exception as fault:
                    message = "the function that gives tokens has failed"
                    raise TokenError("token_unavailable", message) from fault
            self._newest = _checked(token)
        return self._newest


def _checked(token: Any) -> str | None:
    """As a header can carry it; files often end with a line break."""
    if token is None:
        return None
    text = token.strip() if isinstance(token, str) else ""
    if not text or not text.isascii() or not text.isprintable():
        raise TokenError("token_unavailable", "what was given as the token can be none")
    return text
