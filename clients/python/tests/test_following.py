"""The session: what it asks for, how long it waits, and what ends it."""

from __future__ import annotations

import json
import unittest
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bellwire import BellwireError, ConnectionError, ProblemError, ProtocolError, TokenError
from bellwire.answers import Head
from bellwire.core import Core
from bellwire.effects import Aside
from bellwire.following import Status
from bellwire.link import Link

from .script import Script, Stream, answer, event, frame, problem, ready
from .seeded import seeded


class Store:
    def __init__(self, kept: Any = None) -> None:
        self.kept = kept
        self.all: list[str] = []

    def get(self) -> Any:
        if isinstance(self.kept, Exception):
            raise self.kept
        return self.kept

    def set(self, cursor: str) -> None:
        self.kept = cursor
        self.all.append(cursor)


class Followed:
    """A subscription over a script, run to its end."""

    def __init__(
        self, script: Script, filters: Any = "a/**", token: Any = None, **options: Any
    ) -> None:
        self.script = script
        self.statuses: list[Status] = []
        options = {"controls": True, "on_status": self.statuses.append, **options}
        draw = options.pop("random", lambda: 1.0)
        core = Core("http://bell", token=token, clock=lambda: script.now, random=draw)
        controls = options.pop("controls")
        self.following = core._following(filters, controls, **options)
        self.error: BellwireError | None = None
        self.items: list[Any] = []
        flow = self.following.run()
        try:
            self.items, _ = script.run(flow)
        except BellwireError as error:
            self.error = error

    @property
    def told(self) -> list[Any]:
        """Data of events, and names of control events."""
        return [getattr(item, "control", None) or item.data for item in self.items]

    @property
    def after(self) -> list[str | None]:
        """Where each connection began."""
        return [self.query(n).get("after", [None])[0] for n in range(len(self.script.requests))]

    def query(self, number: int) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.script.requests[number].url).query)

    def tokens(self) -> list[str]:
        heads = [dict(request.headers) for request in self.script.requests]
        return [head.get("authorization", b"").decode().replace("Bearer ", "") for head in heads]


REFUSED = ConnectionError("connection_failed", "refused", was_sent=False)


class Session(unittest.TestCase):
    def test_it_comes_back_at_its_cursor(self) -> None:
        script = Script(
            [
                Stream(ready("e1-5"), event(6)),
                REFUSED,
                Stream(event(7), ready("e1-7"), frame(control="heartbeat", cursor="e1-9"), 100.0),
                Stream(ready("e1-9")),
            ]
        )
        followed = Followed(script, after="e1-5")
        self.assertEqual(followed.told, ["ready", 6, 7, "ready", "heartbeat", "ready"])
        self.assertEqual(followed.after, ["e1-5", "e1-6", "e1-6", "e1-9", "e1-9"])
        self.assertEqual(followed.following.cursor, "e1-9")
        statuses = [status.status for status in followed.statuses]
        self.assertEqual(statuses[:5], ["connecting", "live", "waiting", "connecting", "waiting"])
        self.assertEqual(statuses[-1], "closed")
        codes = [status.error.code for status in followed.statuses if status.error]
        self.assertEqual(
            codes, ["connection_lost", "connection_failed", "connection_silent", "connection_lost"]
        )

    def test_waits_grow_until_it_was_live_for_a_while(self) -> None:
        short, long = Stream(ready(), 9.0), Stream(ready(), 10.0)
        script = Script([*[REFUSED] * 6, short, long, *[REFUSED] * 2])
        Followed(script)
        self.assertEqual(script.slept, [1, 2, 4, 8, 16, 30, 30, 1, 2, 4])

    def test_waits_are_drawn_below_their_bounds(self) -> None:
        script = Script([REFUSED] * 200)
        Followed(script, random=seeded("waits").random)
        self.assertTrue(all(0 <= wait <= 30 for wait in script.slept))
        self.assertTrue(script.slept[0] <= 1 and script.slept[1] <= 2 and script.slept[2] <= 4)
        self.assertGreater(max(script.slept), 20)
        self.assertLess(min(script.slept[6:]), 5)

    def test_it_stays_away_for_as_long_as_it_is_asked(self) -> None:
        refusal = problem(503, "connections_exhausted", **{"retry-after": "7"})
        later = Stream(refusal.body, head=refusal)
        bye = frame(control="bye", reason="drain", retry_ms=2_500)
        overload = frame(control="bye", reason="memory_exhausted", status=503, retry_ms=9_000)
        script = Script(
            [later, Stream(ready(), bye), Stream(overload), Stream(frame(control="bye"))]
        )
        with self.assertLogs("bellwire", "INFO") as logs:
            followed = Followed(script, random=lambda: 0.1)
        self.assertEqual(
            [log.split(":")[0] for log in logs.output[:3]], ["WARNING", "INFO", "INFO"]
        )
        self.assertEqual(script.slept[:3], [7, 2.5, 9])
        codes = [status.error.code for status in followed.statuses if status.error]
        self.assertEqual(
            codes[:3], ["connections_exhausted", "connection_lost", "memory_exhausted"]
        )

    def test_silence_ends_a_connection(self) -> None:
        for pieces, silent_s in [
            ([60.0], 15.0),
            ([14.0, b":\n\n", 100.0], 14.0 + 62.5),
            (
                [ready(heartbeat_interval_ms=1_000), 2.4, b":\n\n", 2.4, b":\n\n", 9.0],
                2 * 2.4 + 2.5,
            ),
            ([ready(heartbeat_interval_ms=60_000), 149.0, b":\n\n", 151.0], 149.0 + 150.0),
        ]:
            with self.subTest(pieces):
                script = Script([Stream(*pieces)])
                began = script.now
                followed = Followed(script)
                self.assertAlmostEqual(script.now - sum(script.slept) - began, silent_s)
                self.assertEqual(
                    [s.error.code for s in followed.statuses if s.error], ["connection_silent"]
                )

    def test_refusals_end_it_but_for_those_that_pass(self) -> None:
        for status, goes_on in [
            (400, False),
            (404, False),
            (405, False),
            (501, True),
            (408, True),
            (425, True),
            (429, True),
            (500, True),
            (502, True),
            (301, False),
        ]:
            with self.subTest(status):
                refusal = problem(status, "some_code")
                script = Script([Stream(refusal.body, head=refusal)])
                followed = Followed(script)
                self.assertEqual(len(script.requests), 2 if goes_on else 1)
                if goes_on:
                    self.assertIsNone(followed.error)
                else:
                    self.assertIsInstance(followed.error, ProblemError)
                    self.assertEqual(followed.error.code, "some_code")  # type: ignore[union-attr]
                    self.assertIs(followed.statuses[-1].error, followed.error)

    def test_a_refusal_of_somebody_else_has_no_code(self) -> None:
        for head, body in [
            (Head(404, {"content-type": "text/html"}), b"<h1>no</h1>"),
            (Head(404, {"content-type": "application/problem+json"}), b"{"),
            (Head(404, {"content-type": "application/problem+json"}), b"[1]"),
            (Head(404, {}), b"x" * 100_000),
        ]:
            followed = Followed(Script([Stream(body, head=head)]))
            self.assertEqual(followed.error.code, "unexpected_status")  # type: ignore[union-attr]

    def test_who_has_all_stops(self) -> None:
        end = frame(control="end", topic="a", cursor="e1-3")
        reopened = frame(control="reopened", topic="a", cursor="e1-4")
        for opens, filters, requests in [
            ([Stream(head=Head(204, {}))], "a", 1),
            ([Stream(end, ready())], "a", 1),
            ([Stream(ready(), end)], "a", 1),
            ([Stream(ready(), end)], ["a", "b"], 2),
            ([Stream(ready(), end)], "a/**", 2),
            ([Stream(end, reopened, ready())], "a", 2),
        ]:
            with self.subTest(filters):
                script = Script(opens)
                followed = Followed(script, filters)
                self.assertEqual(len(script.requests), requests)
                self.assertIsNone(followed.error)

    def test_what_is_no_bellwire_ends_it_unless_it_was_one_before(self) -> None:
        page = Stream(b"<html>", head=Head(200, {"content-type": "text/html"}))
        other = Stream(frame(hello=1))
        for stream in (page, other):
            followed = Followed(Script([stream]))
            self.assertIsInstance(followed.error, ProtocolError)
            self.assertEqual(followed.error.code, "not_bellwire")  # type: ignore[union-attr]
        script = Script([Stream(ready()), page, Stream(event(1))])
        followed = Followed(script)
        self.assertEqual((followed.told, followed.error), (["ready", 1], None))

    def test_numbers_that_are_beyond_all_count_as_none(self) -> None:
        for frame_of in (
            b'{"control":"bye","reason":"over","status":1e999}',
            b'{"control":"bye","reason":"drain","retry_ms":1e999}',
            b'{"control":"ready","heartbeat_interval_ms":1e999}',
        ):
            with self.subTest(frame_of):
                refusal = b"data: " + frame_of + b"\n\n"
                end = Stream(frame(control="bye", status=400, reason="over"))
                followed = Followed(Script([Stream(refusal), end]))
                self.assertEqual(followed.error.code, "over")  # type: ignore[union-attr]

    def test_a_broken_frame_has_it_opened_anew(self) -> None:
        for broken in [
            b'data: {"topic":\n\n',
            b"data: \xff\n\n",
            b"data: NaN\n\n",
            frame(topic="a", data=1, cursor=7),
            b"data: " + b"[" * 100_000 + b"\n\n",
            frame(topic="a", data="?", encoding="base64"),
            b"data: 1" + b"0" * 5_000 + b"x\n\n",
        ]:
            with self.subTest(broken[:20]):
                script = Script([Stream(event(1), broken, event(2)), Stream(event(2))])
                followed = Followed(script)
                self.assertEqual(followed.told, [1, 2])
                self.assertEqual(followed.after[1], "e1-1")
                self.assertEqual(followed.statuses[1].error.code, "frame_malformed")  # type: ignore[union-attr]

    def test_gaps_come_in_their_place_and_are_no_place_to_resume_from(self) -> None:
        gap = frame(control="gap", **{"from": "e1-1", "to": "e1-9"}, reason="expired")
        followed = Followed(Script([Stream(event(1), gap), Stream(gap, event(10))]))
        self.assertEqual(followed.told, [1, "gap", "gap", 10])
        self.assertEqual(followed.after[1], "e1-1")
        self.assertEqual(followed.items[1].raw["reason"], "expired")
        script = Script([Stream(event(1), gap, event(10))])
        self.assertEqual(Followed(script, controls=False).told, [1, 10])


class Tokens(unittest.TestCase):
    def test_one_newer_token_is_asked_for(self) -> None:
        refusal = problem(401, "credential_invalid")
        refused = Stream(refusal.body, head=refusal)
        given = iter(["one", "two", "three"])
        script = Script([refused, Stream(refusal.body, head=refusal)])
        followed = Followed(script, token=lambda: next(given))
        self.assertEqual(followed.tokens(), ["one", "two"])
        self.assertEqual(followed.error.code, "credential_invalid")  # type: ignore[union-attr]
        self.assertEqual(script.slept, [])
        given = iter(["one", "two", "three"])
        script = Script(
            [
                Stream(refusal.body, head=refusal),
                Stream(ready()),
                Stream(refusal.body, head=refusal),
            ]
        )
        self.assertEqual(
            Followed(script, token=lambda: next(given)).tokens(), ["one", "two", "two", "three"]
        )

    def test_a_text_is_not_asked_for_twice(self) -> None:
        refusal = problem(403, "forbidden")
        followed = Followed(Script([Stream(refusal.body, head=refusal)]), token="key\n")
        self.assertEqual((followed.tokens(), followed.error.code), (["key"], "forbidden"))  # type: ignore[union-attr]

    def test_a_function_that_fails_is_asked_again(self) -> None:
        asked: list[int] = []

        def token() -> str:
            asked.append(1)
            if len(asked) == 1:
                raise OSError("no network")
            return "two" if len(asked) > 2 else "å"

        script = Script([Stream(event(1))])
        followed = Followed(script, token=token)
        self.assertEqual(followed.told, [1])
        self.assertEqual(followed.tokens()[0], "two")
        errors = [status.error for status in followed.statuses if status.error]
        self.assertIsInstance(errors[0], TokenError)
        self.assertIsInstance(errors[0].__cause__, OSError)

    def test_a_stream_is_renewed_while_it_lasts(self) -> None:
        given = iter(["one", "two"])
        renew = frame(control="renew", expires_in_ms=60_000, renews="bwr_1")
        bye = frame(control="bye", reason="credential_expired", retry_ms=0)
        script = Script([Stream(ready(), renew, event(1), bye)], [answer({"subject": "ada"})])
        followed = Followed(script, token=lambda: next(given, "three"))
        self.assertEqual(followed.told, ["ready", "renew", 1, "bye"])
        renewal = script.requests[1]
        self.assertEqual((renewal.method, renewal.url), ("POST", "http://bell/v1/session/token"))
        self.assertEqual(renewal.body, b'{"renews":"bwr_1"}')
        # What ends is the token that was shown last.
        self.assertEqual(followed.tokens(), ["one", "two", "three"])

    def test_a_renewal_that_fails_is_tried_while_the_old_token_counts(self) -> None:
        renew = frame(control="renew", expires_in_ms=60_000, renews="bwr_1")
        for answers, tries in [
            ([REFUSED, problem(503, "issuer_unavailable"), answer({})], 3),
            ([REFUSED] * 99, 6),
            ([problem(403, "subject_differs")], 1),
        ]:
            with self.subTest(tries):
                given = iter(["one", "two"])
                script = Script([Stream(ready(), renew, event(1))], answers)
                followed = Followed(script, token=lambda given=given: next(given))
                self.assertEqual(followed.told, ["ready", "renew", 1])
                self.assertEqual(followed.tokens()[1:-1], ["two"] * tries)

    def test_one_renewal_is_for_all_streams(self) -> None:
        given = iter(["two"])
        script = Script(answers=[answer({})])
        core = Core("http://bell", token=lambda: next(given), clock=lambda: script.now)
        links = [Link("one") for _ in range(3)]
        first, *rest = [
            core._renewals.renew(core._setting, link, "bwr_1", 60.0) for link in links[:2]
        ]
        effect = next(first)
        assert isinstance(effect, Aside)
        for flow in rest:
            self.assertEqual(list(flow), [], "somebody else does it")
        script.run(effect.flow)
        script.run(core._renewals.renew(core._setting, links[2], "bwr_1", 60.0))
        self.assertEqual([link.token for link in links], ["two"] * 3)
        self.assertEqual(len(script.requests), 1)


class Stores(unittest.TestCase):
    def test_it_goes_on_behind_what_was_taken(self) -> None:
        store = Store("e1-7")
        script = Script([Stream(event(8), event(9), event(10), 1.0, event(11))])
        followed = Followed(script, store=store, after="earliest")
        self.assertEqual(followed.after[0], "e1-7")
        self.assertEqual(store.all, ["e1-8", "e1-10", "e1-11"], "once a second, and at the end")

    def test_a_store_that_fails_is_passed_over(self) -> None:
        class Broken(Store):
            def set(self, cursor: str) -> None:
                raise OSError("disk full")

        with self.assertLogs("bellwire", "WARNING"):
            followed = Followed(
                Script([Stream(event(1))]), store=Broken(OSError("no")), after="earliest"
            )
        self.assertEqual((followed.told, followed.after[0]), ([1], "earliest"))


def polled(page: Any) -> Stream:
    whole = answer(page)
    return Stream(whole.body, head=whole)


def refused(status: int, code: str) -> Stream:
    whole = problem(status, code)
    return Stream(whole.body, head=whole)


class LongPolls(unittest.TestCase):
    def test_it_polls_on_from_cursor_to_cursor(self) -> None:
        gap = {"control": "gap", "from": "e1-0", "to": "e1-1", "reason": "expired"}
        end = {"control": "end", "topic": "a", "cursor": "e1-3"}
        script = Script(
            [
                polled({"events": [], "cursor": "e1-1", "narrowed": ["a"]}),
                polled(
                    {
                        "events": [{"topic": "a", "cursor": "e1-2", "data": 2}],
                        "cursor": "e1-2",
                        "gap": gap,
                        "narrowed": ["a"],
                    }
                ),
                polled({"events": [], "cursor": "e1-3", "ends": [end]}),
            ]
        )
        followed = Followed(script, "a", transport="poll")
        self.assertEqual(followed.told, ["narrowed", "ready", "gap", 2, "heartbeat", "end"])
        self.assertEqual(followed.after, [None, "e1-1", "e1-2"])
        self.assertEqual(followed.query(0)["wait"] + followed.query(1)["wait"], ["0s", "25s"])
        self.assertIsNone(followed.error)

    def test_an_older_servers_page_is_full_by_its_bytes(self) -> None:
        page = json.dumps(
            {"events": [{"topic": "a", "data": 1, "cursor": "e1-1"}], "cursor": "e1-1"}
        )
        # As it was published: the server leaves white space as it is.
        full = page.replace("1,", f"{' ' * 600_000}1,", 1)
        for text, expected in [
            (full, [1, "heartbeat", "ready"]),
            (page, [1, "ready", "heartbeat"]),
        ]:
            end = {"control": "end", "topic": "a", "cursor": "e1-2"}
            script = Script(
                opens=[
                    Stream(text.encode(), head=Head(200, {"content-type": "application/json"})),
                    polled({"events": [], "cursor": "e1-1"}),
                    polled({"events": [], "cursor": "e1-2", "ends": [end]}),
                ]
            )
            told = Followed(script, "a", transport="poll").told
            self.assertEqual(told[:3], expected)

    def test_it_comes_back_as_a_stream_does(self) -> None:
        script = Script(
            [
                polled({"events": [], "cursor": "e1-1"}),
                REFUSED,
                refused(502, "x"),
                polled({"events": [], "cursor": "e1-1"}),
                refused(400, "cursor_invalid"),
            ]
        )
        followed = Followed(script, transport="poll")
        self.assertEqual(followed.error.code, "cursor_invalid")  # type: ignore[union-attr]
        self.assertEqual(followed.after, [None, "e1-1", "e1-1", "e1-1", "e1-1"])
        self.assertEqual(script.slept, [1, 2])
