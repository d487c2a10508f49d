"""What is left when something is closed, cancelled, interrupted or just dropped: nothing."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import Any

import httpx

from bellwire import AsyncClient, Client, UnsentError

from .both import Both, take
from .script import STREAM, event
from .server import PATIENCE_S, Server, Wire, eventually

#: Nobody listens there.
NOWHERE = "http://127.0.0.1:1"
#: In how many steps something is cancelled, one more each time.
STEPS = 8


def has_no_threads() -> bool:
    return not any(thread.name.startswith("bellwire") for thread in threading.enumerate())


def interrupt_in(test: unittest.TestCase, seconds: float) -> None:
    """As Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    test.addCleanup(signal.signal, signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, seconds)


class Samplers(Both):
    def test_a_client_that_is_closed_sends_what_its_samplers_have(self) -> None:
        server = Server(self)

        async def body(make: Any) -> None:
            unsent: list[Any] = []
            for number in range(20):
                async with make(server.url) as client:
                    sampler = client.sampler(on_unsent=lambda *told: unsent.append(told))
                    add(sampler, number)
            self.assertEqual(unsent, [])

        self.each(body)

    def test_ctrl_c_while_it_is_closed_hands_back_what_waits(self) -> None:
        unsent: list[Any] = []
        with Client(NOWHERE) as client:
            sampler = client.sampler(on_unsent=lambda samples, _: unsent.extend(samples))
            sampler.add("temperature", 1)
            interrupt_in(self, 0.2)
            with self.assertRaises(KeyboardInterrupt):
                sampler.close(PATIENCE_S)
        self.assertEqual([sample["value"] for sample in unsent], [1])
        self.assertEqual(sampler.unsent, 0)

    def test_who_is_told_of_samples_may_close_it(self) -> None:
        server = Server(self)
        unsent: list[Any] = []

        def close(samples: Any, _: Any) -> None:
            unsent.extend(samples)
            sampler.close(0)

        count = 0
        with Client(server.url) as client:
            sampler = client.sampler(on_unsent=close)
            try:
                while True:
                    sampler.add("", count)
                    count += 1
            except UnsentError as error:
                self.assertEqual(error.code, "closed")
            eventually("all samples", lambda: len(unsent) == count)
        self.assertEqual([sample["value"] for sample in unsent], list(range(count)))

    def test_a_process_that_was_forked_is_told_that_nothing_is_sent(self) -> None:
        code = """
import os, sys
from bellwire import Client, UnsentError
sampler = Client(sys.argv[1]).sampler()
child = os.fork()
if child == 0:
    try:
        sampler.add("temperature", 21.4)
    except UnsentError as error:
        os._exit(7 if error.code == "closed" else 1)
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.WEXITSTATUS(status))
"""
        root = str(Path(__file__).parents[1])
        command = [sys.executable, "-c", code, NOWHERE]
        self.assertEqual(subprocess.run(command, cwd=root, check=False).returncode, 7)

    def test_a_loop_that_ends_hands_back_what_waits(self) -> None:
        unsent: list[Any] = []

        async def body(wait_s: float) -> None:
            sampler = AsyncClient(NOWHERE).sampler(
                on_unsent=lambda samples, _: unsent.extend(samples)
            )
            sampler.add("temperature", wait_s)
            await asyncio.sleep(wait_s)

        for wait_s in (0, 0.1):
            asyncio.run(body(wait_s))
        self.assertEqual([sample["value"] for sample in unsent], [0, 0.1])

    def test_what_is_on_its_way_is_not_sent_twice(self) -> None:
        async def body() -> None:
            requests: list[bytes] = []
            came, is_due = asyncio.Event(), asyncio.Event()

            async def serve(reader: Any, writer: Any) -> None:
                requests.append(await reader.readuntil(b"]"))
                came.set()
                await is_due.wait()
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                writer.write(head + b'content-length: 14\r\n\r\n{"accepted":1}')
                await writer.drain()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            async with AsyncClient(f"http://127.0.0.1:{port}") as client:
                sampler = client.sampler()
                sampler.add("temperature", 1)
                await came.wait()
                closing = asyncio.ensure_future(sampler.aclose(PATIENCE_S))
                for _ in range(STEPS):
                    await asyncio.sleep(0)
                is_due.set()
                await closing
                self.assertEqual(sampler.unsent, 0)
            self.assertEqual(len(requests), 1)
            server.close()

        asyncio.run(body())


def add(sampler: Any, value: float) -> None:
    """It waits for nothing with either client."""
    getattr(sampler, "wrapped", sampler).add("temperature", value)


class Subscriptions(Both):
    def test_one_that_fails_to_close_keeps_none_from_it(self) -> None:
        def fail(status: Any) -> None:
            if status.status == "closed":
                raise RuntimeError("of the application")

        async def body(make: Any) -> None:
            unsent: list[Any] = []
            client = make(NOWHERE)
            subscriptions = [client.subscribe("lab/a", on_status=fail) for _ in range(3)]
            sampler = client.sampler(on_unsent=lambda samples, _: unsent.extend(samples))
            add(sampler, 1)
            with self.assertRaises(RuntimeError):
                await client.aclose()
            self.assertEqual({one.status for one in subscriptions}, {"closed"})
            self.assertEqual([sample["value"] for sample in unsent], [1])

        self.each(body)

    def test_what_comes_while_it_is_closed_is_not_given(self) -> None:
        server = Server(self)

        def close(status: Any) -> None:
            if status.status == "live":
                closing = threading.Thread(target=subscription.close)
                closing.start()
                closing.join()

        with Client(server.url) as client:
            subscription = client.subscribe("lab/a", controls=True, on_status=close)
            self.assertEqual(list(subscription), [])
            self.assertEqual(subscription.status, "closed")
        eventually("the end of all threads", has_no_threads)

    def test_one_that_was_cancelled_while_it_closed_is_closed(self) -> None:
        class Slow:
            async def get(self) -> None:
                return None

            async def set(self, cursor: str) -> None:
                await asyncio.sleep(PATIENCE_S)

        async def body() -> None:
            server = Server(self)
            wire = Wire(self, server)
            async with AsyncClient(wire.url) as client:
                await client.publish("lab/a", 1)
                for steps in range(1, STEPS):
                    subscription = client.subscribe("lab/a", after="earliest", store=Slow())
                    self.assertEqual(await take(subscription, 1), [1])
                    closing = asyncio.ensure_future(subscription.aclose())
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    closing.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await closing
                    self.assertEqual(subscription.status, "closed")
                await asyncio.to_thread(
                    eventually, "the end of all streams", lambda: wire.open_connections <= 1
                )

        asyncio.run(body())

    def test_one_that_is_dropped_leaves_no_connection(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self)
            wire = Wire(self, server)
            async with make(wire.url) as client:
                await client.publish("lab/a", 1)
                for _ in range(3):
                    async for event in client.subscribe("lab/a", after="earliest"):
                        self.assertEqual(event.data, 1)
                        break
                gc.collect()
                await asyncio.to_thread(
                    eventually, "the end of all streams", lambda: wire.open_connections <= 1
                )

        self.each(body)

    def test_garbage_is_not_closed_in_the_middle_of_something_else(self) -> None:
        closed_by: list[threading.Thread] = []

        class Stream(httpx.SyncByteStream):
            def __iter__(self) -> Any:
                try:
                    while True:
                        yield event(1)
                finally:
                    closed_by.append(threading.current_thread())

            def close(self) -> None:
                closed_by.append(threading.current_thread())

        def serve(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers=STREAM, stream=Stream())

        http = httpx.Client(transport=httpx.MockTransport(serve))
        self.addCleanup(http.close)
        client = Client("http://bell", http=http)

        def drop() -> None:
            # What follows it and what it tells of itself hold each other, as methods do.
            held: list[Any] = []
            held.append(client.subscribe("a", on_status=lambda _: held.clear))
            self.assertEqual(next(held[0]).data, 1)

        gc.disable()
        self.addCleanup(gc.enable)
        drop()
        self.assertEqual(closed_by, [])
        gc.collect()
        eventually("its end", lambda: closed_by and has_no_threads())
        self.assertNotIn(threading.current_thread(), closed_by)

    def test_a_query_that_is_interrupted_leaves_nothing(self) -> None:
        server = Server(self)
        wire = Wire(self, server)
        wire.is_mute = True
        with Client(wire.url) as client:
            interrupt_in(self, 0.3)
            with self.assertRaises(KeyboardInterrupt):
                client.query("temperature")
            eventually("the end of all threads", has_no_threads)
