"""Streams go on under a newer token: what the server asks for with `renew`."""

from __future__ import annotations

from dataclasses import dataclass, field

from .answers import remedy
from .effects import Aside, Flow, Sleep
from .errors import BellwireError, ProblemError
from .link import Link
from .outgoing import renewing
from .sending import TRY_S, Closed, Sending, Setting


@dataclass
class Renewals:
    """Those of a client: all streams of one name a renewal alike, and it is done once."""

    #: Who waits for it, by its name and the token that it replaces.
    _waiting: dict[tuple[str, str | None], list[Link]] = field(default_factory=dict)
    _last: tuple[str, str | None] | None = None
    _newest: str | None = None

    def renew(self, setting: Setting, link: Link, renews: str, expires_in_s: float) -> Flow[None]:
        """Begins it, unless somebody else has; the stream goes on meanwhile.

        Where it comes to nothing the stream ends: it comes back with a newer token, or says why not.
        """
        if not setting.token.can_refresh:
            return
        named = (renews, link.token)
        if named == self._last:
            link.token = self._newest
            return
        mine: list[Link] = []
        links = self._waiting.setdefault(named, mine)
        links.append(link)
        if links is mine:
            yield Aside(self._try(setting, named, setting.clock() + expires_in_s))

    def _try(self, setting: Setting, named: tuple[str, str | None], until: float) -> Flow[None]:
        renews, old = named
        backoff = setting.backoff()
        try:
            while True:
                try:
                    newer = yield from setting.token.refresh(old)
                    outgoing = renewing(renews)
                    yield from Sending(setting, outgoing, setting.clock).ask(newer, TRY_S)
                    break
                except Closed:
                    return
                except BellwireError as error:
                    wait = backoff.next()
                    # What a server does not do (501) it does not do later.
                    is_never = isinstance(error, ProblemError) and error.status == 501
                    is_late = setting.clock() + wait >= until
                    if is_never or is_late or remedy(error) != "later":
                        return
                yield Sleep(wait)
            self._last, self._newest = named, newer
            for link in self._waiting[named]:
                link.token = newer
        except Closed:
            return
        finally:
            del self._waiting[named]
