"""A sensor that loses its network: what waits, what gives way, and what is handed back."""

from __future__ import annotations

import json
import unittest
from typing import Any

from bellwire import BellwireError, ConnectionError
from bellwire.effects import Idle
from bellwire.samples import BATCH_SAMPLES_MAX, QUEUE_BYTES_MAX, SampleQueue, Sampling, sample_of

from .script import Script, answer, problem

REFUSED = ConnectionError("connection_failed", "refused", was_sent=False)


def sample(number: int) -> dict[str, Any]:
    return sample_of("temperature", number, {"site": "oslo"}, number)


class Sensor(Script):
    """Answers as the server does; while nobody measures, it is closed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.handed_back: list[tuple[list[int], str]] = []
        self.sampling = Sampling(self.setting(), SampleQueue(), self.on_unsent)

    def on_unsent(self, samples: Any, error: BellwireError) -> None:
        self.handed_back.append(([sample["timestamp"] for sample in samples], error.code))

    def go(self) -> None:
        self.run(self.sampling.run())
        self.sampling.give_up()

    def _perform(self, effect: Any) -> Any:
        if isinstance(effect, Idle):
            return self.sampling.close(5.0)
        return super()._perform(effect)

    @property
    def taken(self) -> list[int]:
        bodies = [json.loads(request.body or b"[]") for request in self.requests]
        return [sample["timestamp"] for body in bodies for sample in body]


class Samples(unittest.TestCase):
    def test_an_hour_without_network_loses_nothing(self) -> None:
        sensor = Sensor(answers=[REFUSED] * 150 + [answer({"accepted": 1})] * 36)
        for second in range(3_600):
            sensor.sampling.add(sample(second))
        with self.assertLogs("bellwire", "WARNING") as logs:
            sensor.go()
        self.assertEqual(len(logs.output), 1, "it is said once that they wait")
        self.assertEqual(sensor.taken[150 * BATCH_SAMPLES_MAX :], list(range(3_600)))
        self.assertGreater(sum(sensor.slept), 3_600)
        self.assertLess(max(sensor.slept), 30.001)
        self.assertEqual(sensor.handed_back, [])
        self.assertEqual(sensor.sampling.size, 0)

    def test_what_there_is_no_room_for_is_handed_back_the_oldest_first(self) -> None:
        sensor = Sensor()
        count = 0
        while not sensor.handed_back:
            sensor.sampling.add(sample(count))
            count += 1
        self.assertGreater(count, 24 * 3_600 * 0.8, "most of a day at one a second")
        sensor.sampling.add(sample(count))
        self.assertEqual(sensor.handed_back, [([0], "queue_full"), ([1], "queue_full")])
        self.assertEqual(sensor.sampling.size, count - 1)
        self.assertLessEqual(sensor.sampling._queue._bytes, QUEUE_BYTES_MAX)

    def test_what_is_left_at_the_end_is_handed_back(self) -> None:
        sensor = Sensor(answers=[REFUSED] * 99)
        sensor.sampling.add(sample(1))
        sensor.sampling.close(5.0)
        sensor.sampling.add(sample(2))
        sensor.go()
        self.assertEqual(sum(sensor.slept), 5)
        self.assertEqual(sensor.handed_back, [([1, 2], "closed")])
        self.assertEqual(sensor.sampling.size, 0)

    def test_what_the_server_refuses_is_handed_back_and_the_rest_goes_on(self) -> None:
        errors = [{"line": 2, "code": "value_missing", "detail": "a sample has a `value`"}]
        sensor = Sensor(
            answers=[
                answer({"accepted": 99, "rejected": 1, "errors": errors}),
                problem(403, "forbidden"),
                answer({"accepted": 50}),
            ]
        )
        for number in range(250):
            sensor.sampling.add(sample(number))
        sensor.go()
        self.assertEqual(
            sensor.handed_back, [([1], "samples_invalid"), (list(range(100, 200)), "forbidden")]
        )

    def test_nobody_who_listens_is_a_warning(self) -> None:
        queue = SampleQueue(200)
        sampling = Sampling(Script().setting(), queue, None)
        with self.assertLogs("bellwire", "WARNING") as logs:
            for number in range(3):
                sampling.add(sample(number))
        self.assertIn("too many samples wait", logs.output[0])

        def fails(samples: Any, error: BellwireError) -> None:
            raise OSError("disk full")

        sampling = Sampling(Script().setting(), queue, fails)
        with self.assertLogs("bellwire", "ERROR"):
            sampling.add(sample(9))

    def test_what_is_no_sample_is_told_at_once(self) -> None:
        queue = SampleQueue()
        for value in ("warm", float("nan"), None):
            with self.assertRaises((TypeError, ValueError)):
                queue.add(sample_of("temperature", value, None, 1))  # type: ignore[arg-type]
        self.assertEqual(len(queue), 0)
