"""What is sent: how it looks, how often it is tried, and what is handed back."""

from __future__ import annotations

import unittest
from typing import Any, Callable

from bellwire import BellwireError, ConnectionError, ProblemError, UnsentError
from bellwire.answers import Answer
from bellwire.core import Core
from bellwire.outgoing import NO_DATA, base_of, deleting, measuring, publishing
from bellwire.samples import samples_body
from bellwire.sending import OUTBOX_BYTES_MAX, Outbox

from .script import Script, answer, problem

REFUSED = ConnectionError("connection_failed", "refused", was_sent=False)
LOST = ConnectionError("connection_lost", "lost")
TAKEN = answer({"cursor": "e1-1"}, 201)


def measured(samples: Any) -> Any:
    return measuring(*samples_body(samples))


def sent(script: Script, outgoing: Any, token: Any = None, timeout: float = 60.0) -> Any:
    core = Core("http://bell/below", token=token, clock=lambda: script.now, random=lambda: 1.0)
    return script.run(core._sending_in_turn(outgoing, timeout))[1]


def fails(script: Script, outgoing: Any, **options: Any) -> Any:
    try:
        return sent(script, outgoing, **options)
    except BellwireError as error:
        return error


class Sending(unittest.TestCase):
    def test_an_event_is_sent_as_the_protocol_has_it(self) -> None:
        script = Script(answers=[TAKEN])
        outgoing = publishing(
            "a b/å", {"n": "å"}, key="ключ", type="t", if_absent=True, ttl="30s", end=False
        )
        self.assertEqual(sent(script, outgoing, token="key"), {"cursor": "e1-1"})
        (request,) = script.requests
        self.assertEqual(
            (request.method, request.url), ("POST", "http://bell/below/v1/topics/a%20b/%C3%A5")
        )
        headers = dict(request.headers)
        self.assertEqual(len(headers.pop("idempotency-key")), 32)
        self.assertEqual(
            headers,
            {
                "authorization": b"Bearer key",
                "content-type": b"application/json",
                "bellwire-key": "ключ".encode(),
                "bellwire-type": b"t",
                "bellwire-if-absent": b"true",
                "bellwire-ttl": b"30s",
            },
        )
        self.assertEqual(request.body, '{"n":"å"}'.encode())
        binary = publishing("a", b"\0", content_type="image/png")
        self.assertEqual((binary.body, dict(binary.headers)["content-type"]), (b"\0", b"image/png"))
        self.assertEqual(publishing("a", None).body, b"null")
        ended = publishing("a/../b", NO_DATA, end=True)
        self.assertEqual((ended.path, ended.body), ("v1/topics/a/%2E%2E/b", None))
        self.assertEqual(dict(ended.headers)["bellwire-end"], b"true")
        reopened = publishing("a", NO_DATA, end=False)
        self.assertEqual(dict(reopened.headers)["bellwire-end"], b"false")
        self.assertEqual(deleting("a", "k&").path, "v1/topics/a?key=k%26")

    def test_wrong_arguments_are_told_at_once(self) -> None:
        wrong: list[Callable[[], Any]] = [
            lambda: publishing("a", float("nan")),
            lambda: publishing("a", object()),
            lambda: publishing("", 1),
            lambda: publishing("a", NO_DATA),
            lambda: publishing("a", 1, key="a\nb"),
            lambda: publishing("a", 1, key=7),
            lambda: publishing("a", 1, tpye="x"),
            lambda: base_of("bell:8080"),
            lambda: base_of("ftp://bell"),
            lambda: Core("http://bell", tokn="x"),  # type: ignore[call-arg]
            lambda: Core("http://bell", token=7),  # type: ignore[arg-type]
            lambda: Core("http://bell")._following([], False),
            lambda: Core("http://bell")._following("a", False, befor="x"),
            lambda: Core("http://bell")._following("a", False, transport="pigeon"),
        ]
        for number, call in enumerate(wrong):
            with self.subTest(number), self.assertRaises((TypeError, ValueError)):
                call()

    def test_it_is_tried_until_its_time_is_over(self) -> None:
        script = Script(
            answers=[REFUSED, problem(503, "draining", **{"retry-after": "9"}), LOST, TAKEN]
        )
        self.assertEqual(sent(script, publishing("a", 1)), {"cursor": "e1-1"})
        self.assertEqual(script.slept, [1, 9, 4])
        keys = {dict(request.headers)["idempotency-key"] for request in script.requests}
        self.assertEqual(len(keys), 1, "the same key each time")
        script = Script(answers=[REFUSED] * 99)
        error = fails(script, publishing("a", 1, idempotency_key="k"), timeout=10.0)
        self.assertIsInstance(error, UnsentError)
        self.assertEqual(
            (error.code, error.idempotency_key, error.may_be_taken), ("unanswered", "k", False)
        )
        self.assertIs(error.__cause__, REFUSED)
        self.assertEqual(sum(script.slept), 10)

    def test_what_may_be_there_already_is_said(self) -> None:
        for answers, may_be_taken in [
            ([REFUSED] * 9, False),
            ([LOST, *[REFUSED] * 9], True),
            ([problem(503, "draining")] * 9, False),
            ([Answer(502, {}, b"")] * 9, True),
            ([Answer(200, {}, b"<html>")] * 9, True),
            ([Answer(200, {}, b"[]")] * 9, True),
            ([answer({"ok": True})] * 9, True),
            ([Answer(200, {}, b"")] * 9, True),
        ]:
            with self.subTest(answers[0]):
                error = fails(Script(answers=answers), publishing("a", 1), timeout=10.0)
                self.assertEqual((error.code, error.may_be_taken), ("unanswered", may_be_taken))

    def test_a_refusal_for_good_says_what_an_earlier_try_may_have_done(self) -> None:
        forbidden = problem(403, "forbidden")
        for answers, may_be_taken in [
            ([LOST, forbidden], True),
            ([problem(503, "journal_unavailable"), forbidden], True),
            ([Answer(404, {}, b"")], True),
            ([REFUSED, problem(503, "draining"), forbidden], False),
            ([forbidden], False),
        ]:
            with self.subTest(answers):
                error = fails(Script(answers=answers), publishing("a", 1))
                self.assertIsInstance(error, ProblemError)
                self.assertEqual(error.may_be_taken, may_be_taken)

    def test_what_does_not_do_the_same_twice_is_sent_once(self) -> None:
        for outgoing in [
            publishing("a", 1, key="k", if_version="s1-1"),
            publishing("a", 1, key="k", if_absent=True),
            deleting("a", "k", "s1-1"),
            measured([{"name": "a", "value": 1}]),
        ]:
            script = Script(answers=[REFUSED, LOST, TAKEN])
            error = fails(script, outgoing)
            self.assertEqual((error.code, error.may_be_taken), ("unanswered", True))
            self.assertEqual(len(script.requests), 2)
        dated = measured([{"name": "a", "value": 1, "timestamp": 5}])
        self.assertEqual(
            sent(Script(answers=[LOST, answer({"accepted": 1})]), dated), {"accepted": 1}
        )

    def test_a_key_that_is_gone_when_it_is_deleted_again_was_deleted(self) -> None:
        gone = problem(404, "key_not_found")
        self.assertIsNone(sent(Script(answers=[LOST, gone]), deleting("a", "k")))
        for answers in ([gone], [REFUSED, gone]):
            self.assertEqual(
                fails(Script(answers=answers), deleting("a", "k")).code, "key_not_found"
            )

    def test_refusals_are_told_as_they_are(self) -> None:
        refusal = Answer(
            412,
            {"content-type": "application/problem+json"},
            b'{"code":"condition_failed","detail":"it is not","version":"s1-2"}',
        )
        error = fails(Script(answers=[refusal]), publishing("a", 1))
        self.assertIsInstance(error, ProblemError)
        self.assertEqual(
            (error.status, error.code, error.version), (412, "condition_failed", "s1-2")
        )
        self.assertIn("it is not", str(error))
        self.assertEqual(
            fails(Script(answers=[Answer(302, {}, b"")]), publishing("a", 1)).code,
            "unexpected_status",
        )

    def test_a_newer_token_is_tried_once(self) -> None:
        given = iter(["one", "two", "three"])
        script = Script(answers=[problem(401, "credential_invalid"), TAKEN])
        sent(script, publishing("a", 1), token=lambda: next(given))
        self.assertEqual(
            [dict(r.headers)["authorization"] for r in script.requests],
            [b"Bearer one", b"Bearer two"],
        )
        script = Script(answers=[problem(401, "credential_invalid")] * 3)
        self.assertEqual(
            fails(script, publishing("a", 1), token=lambda: next(given, "x")).code,
            "credential_invalid",
        )
        self.assertEqual(len(script.requests), 2)

    def test_what_waits_has_bounds(self) -> None:
        outbox = Outbox(2)
        small, large = publishing("a", 1), publishing("a", b"x" * OUTBOX_BYTES_MAX)
        outbox.admit(small)
        with self.assertRaises(UnsentError) as raised:
            outbox.admit(large)
        self.assertEqual(raised.exception.code, "queue_full")
        outbox.admit(small)
        with self.assertRaises(UnsentError):
            outbox.admit(small)
        outbox.settle(small)
        outbox.settle(small)
        outbox.admit(large)
        self.assertEqual(outbox.size, 1)
