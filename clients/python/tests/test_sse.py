from __future__ import annotations

import unittest

from bellwire import SseEvent, SseParser
from bellwire.sse import SSE_EVENT_BYTES_MAX

from .seeded import seeded


def parsed(*pieces: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)]


class Parser(unittest.TestCase):
    def test_streams_are_read_as_the_standard_says(self) -> None:
        table: list[tuple[bytes, list[tuple[str, str, str]]]] = [
            (b"data: a\n\n", [("message", "a", "")]),
            (b"data:a\r\rdata:b\r\n\r\n", [("message", "a", ""), ("message", "b", "")]),
            (b"data: a\ndata:  b\n\n", [("message", "a\n b", "")]),
            (b"data\n\ndata\ndata\n\n", [("message", "", ""), ("message", "\n", "")]),
            (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
            (b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a", ""), ("message", "b", "")]),
            (b"id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")]),
            (b"id: 1\n\ndata: a\n\n", [("message", "a", "1")]),
            (b"id: 1\nid: 2\0\ndata: a\n\n", [("message", "a", "1")]),
            (b": note\ndata: a\nwhat: ever\n\n", [("message", "a", "")]),
            (b"event: x\n\ndata: a\n\n", [("message", "a", "")]),
            (b"data: a\n", []),
            ("data: å\u2028\x0b\x1c\n\n".encode(), [("message", "å\u2028\x0b\x1c", "")]),
        ]
        for stream, expected in table:
            with self.subTest(stream):
                self.assertEqual([tuple(event) for event in parsed(stream)], expected)

    def test_pieces_do_not_matter(self) -> None:
        random = seeded("pieces")
        words = [
            b"data: a",
            b"data",
            b"id: 7",
            b"event: x",
            b":",
            b"data: \xc3\xa5",
            b"\xef\xbb\xbf",
            b"",
            b"",
            b"\n",
            b"\r",
            b"\r\n",
            b"retry: 5",
        ]
        ends = [b"\n", b"\r", b"\r\n"]
        for _ in range(2_000):
            stream = b"".join(random.choice(words) + random.choice(ends) for _ in range(12))
            whole = parsed(stream)
            cuts = sorted(random.randrange(len(stream) + 1) for _ in range(random.randrange(8)))
            edges = [0, *cuts, len(stream)]
            pieces = [stream[a:b] for a, b in zip(edges, edges[1:])]
            self.assertEqual(parsed(*pieces), whole, (stream, pieces))
            single = [stream[n : n + 1] for n in range(len(stream))]
            self.assertEqual(parsed(*single), whole, stream)

    def test_what_is_no_event_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            parsed(b"data: \xff\n\n")
        for pieces in (
            [b"data: " + b"x" * SSE_EVENT_BYTES_MAX],
            [b"data: " + b"x" * 2**20 + b"\n"] * 17,
            [b"data\n" * 2**20] * 17,
        ):
            with self.assertRaises(ValueError):
                parsed(*pieces)

    def test_a_long_event_costs_no_more_than_its_length(self) -> None:
        piece = b"x" * 1_024
        parser = SseParser()
        parser.feed(b"data: ")
        for _ in range(15 * 1_024):
            self.assertEqual(parser.feed(piece), [])
        (event,) = parser.feed(b"\n\n")
        self.assertEqual(len(event.data), 15 * 1_024 * 1_024)

    def test_the_server_says_when_to_come_back(self) -> None:
        parser = SseParser()
        parser.feed(b"retry: 2417\nretry: x\nretry: -1\nretry: 99999999999999999999\n\n")
        self.assertEqual(parser.retry_ms, 2_417)
