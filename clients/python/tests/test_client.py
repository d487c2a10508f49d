"""Both clients against the real binary: while it is killed, hangs, and the network is cut."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any

from bellwire import AsyncClient, BellwireError, Client, Control, ProblemError, UnsentError

from .both import SOON, Both, take
from .seeded import seeded
from .server import BINARY, PATIENCE_S, Server, Wire, eventually

RULES = """
groups:
  - name: heat
    rules:
      - alert: Hot
        expr: heat > 90
"""
QUICK = ("--heartbeat-interval", "200ms")
COUNT = 200


async def all_of(history: Any) -> list[Any]:
    """What a `history` gives, of either client."""
    return [e async for e in history] if hasattr(history, "__aiter__") else list(await history)


class Follows(Both):
    def test_events_come_once_and_in_order_while_the_server_is_killed_and_the_network_cut(
        self,
    ) -> None:
        random = seeded("cuts")

        async def body(make: Any) -> None:
            server = Server(self)
            wire = Wire(self, server)

            def publish() -> None:
                with Client(server.url, **SOON) as client:
                    for number in range(COUNT):
                        client.publish("lab/a", number)
                        if number % 50 == 25:
                            server.kill()
                            server.start()
                        elif random.random() < 0.1:
                            wire.cut()

            async with make(wire.url, **SOON) as client:
                subscription = client.subscribe("lab/**", after="earliest")
                publishing = asyncio.ensure_future(asyncio.to_thread(publish))
                self.assertEqual(await take(subscription, COUNT), list(range(COUNT)))
                await publishing
                self.assertGreater(wire.connections, 4)

        self.each(body)

    def test_a_server_that_hangs_is_left(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self, *QUICK)
            wire = Wire(self, server)
            statuses: list[Any] = []
            async with make(wire.url, **SOON) as client:
                subscription = client.subscribe("lab/a", controls=True, on_status=statuses.append)
                self.assertEqual(await take(subscription, 1), ["ready"])
                wire.is_mute = True
                reading = asyncio.ensure_future(take(subscription, 2))
                await asyncio.to_thread(
                    eventually, "silence", lambda: any(s.status == "waiting" for s in statuses)
                )
                self.assertEqual([s.error.code for s in statuses if s.error], ["connection_silent"])
                wire.is_mute = False
                wire.cut()
                await client.publish("lab/a", 1)
                self.assertEqual(sorted(map(str, await reading)), ["1", "ready"])

        self.each(body)

    def test_a_quiet_topic_is_left_at_once_by_whoever_closes_it(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self)
            async with make(server.url, **SOON) as client:
                for closes in ("subscription", "client"):
                    statuses: list[str] = []
                    subscription = client.subscribe(
                        "lab/quiet",
                        on_status=lambda status, told=statuses: told.append(status.status),
                    )
                    reading = asyncio.ensure_future(take(subscription, 1))
                    await asyncio.to_thread(
                        eventually, "live", lambda told=statuses: "live" in told
                    )
                    await {"subscription": subscription, "client": client}[closes].aclose()
                    with self.assertRaises(StopAsyncIteration):
                        await reading
                    self.assertEqual(statuses, ["connecting", "live", "closed"])
                with self.assertRaises(UnsentError):
                    await client.publish("lab/a", 1)

        self.each(body)

    def test_what_is_gone_is_told_and_what_has_ended_ends(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self, "--journal", "memory")
            async with make(server.url, **SOON) as client:
                subscription = client.subscribe("lab/a", controls=True)
                self.assertEqual(await take(subscription, 1), ["ready"])
                await client.publish("lab/a", 1)
                self.assertEqual(await take(subscription, 1), [1])
                server.kill()
                server.start()
                await client.publish("lab/a", 2)
                self.assertEqual(await take(subscription, 3), ["gap", 2, "ready"])
                await client.publish("lab/a", 3, end=True)
                self.assertEqual(await take(subscription, 2), [3, "end"])
                with self.assertRaises(StopAsyncIteration):
                    await take(subscription, 1)
                back = client.subscribe("lab/a", after=subscription.cursor)
                with self.assertRaises(StopAsyncIteration):
                    await take(back, 1)

        self.each(body)

    def test_a_store_has_what_was_taken_and_what_failed_comes_again(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self)
            kept: dict[str, str] = {}

            class Store:
                def get(self) -> Any:
                    return kept.get("lab")

                def set(self, cursor: str) -> None:
                    kept["lab"] = cursor

            async with make(server.url, **SOON) as client:
                for number in range(4):
                    await client.publish("lab/a", number)

                def again() -> Any:
                    return client.subscribe("lab/a", after="earliest", store=Store())

                async with again() as subscription:
                    self.assertEqual(await take(subscription, 2), [0, 1])
                with self.assertRaises(KeyError):
                    async with again() as subscription:
                        self.assertEqual(await take(subscription, 1), [2])
                        raise KeyError
                async with again() as subscription:
                    self.assertEqual(await take(subscription, 2), [2, 3])

        self.each(body)

    def test_long_polls_bring_the_same(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self)
            async with make(server.url, **SOON) as client:
                subscription = client.subscribe("lab/a", transport="poll", controls=True)
                self.assertEqual(await take(subscription, 1), ["ready"])
                for number in range(3):
                    await client.publish("lab/a", number)
                taken: list[Any] = []
                while len(taken) < 3:
                    taken += [x for x in await take(subscription, 1) if x != "heartbeat"]
                self.assertEqual(taken, [0, 1, 2])
                await subscription.aclose()

        self.each(body)

    def test_a_token_that_does_not_count_ends_it(self) -> None:
        async def body(make: Any) -> None:
            made = subprocess.check_output(
                [BINARY, "key", "make", "--subject", "red", "--role", "red"], text=True
            )
            key, _, configuration = made.partition("\n")
            role = '[[access.role]]\nname = "red"\nsubscribe = ["lab/**"]\npublish = ["lab/**"]\n'
            server = Server(self, config=role + configuration)
            async with make(server.url, token=f"{key}\n", **SOON) as client:
                await client.publish("lab/a", 1)
                self.assertEqual(await take(client.subscribe("lab/a", after="earliest"), 1), [1])
            asked: list[int] = []

            def wrong() -> str:
                asked.append(1)
                return f"wrong{len(asked)}"

            async with make(server.url, token=wrong, **SOON) as client:
                with self.assertRaises(ProblemError) as raised:
                    await take(client.subscribe("lab/a"), 1)
                self.assertEqual(
                    (raised.exception.status, raised.exception.code), (401, "credential_invalid")
                )
                self.assertEqual(len(asked), 2, "one more is asked for, and no other")

        self.each(body)

    def test_a_stream_goes_on_under_newer_tokens(self) -> None:
        async def body(make: Any) -> None:
            server, token = issuer(self)
            # Each is renewed at once, and has to be good until that is done.
            short_s = 6
            asked: list[int] = []

            def newer() -> str:
                asked.append(1)
                return token(f"{short_s}s" if len(asked) < 3 else "1h")

            statuses: list[str] = []
            async with make(server.url, token=newer, **SOON) as client:
                subscription = client.subscribe(
                    "lab/a", controls=True, on_status=lambda status: statuses.append(status.status)
                )
                self.assertEqual(await take(subscription, 3), ["ready", "renew", "renew"])
                reading = asyncio.ensure_future(take(subscription, 1))
                await asyncio.to_thread(eventually, "the last token", lambda: len(asked) == 3)
                # Beyond the end of the one before.
                await asyncio.sleep(short_s + 0.5)
                await client.publish("lab/a", 7)
                self.assertEqual(await reading, [7])
                self.assertEqual(statuses, ["connecting", "live"])
                self.assertEqual(len(asked), 3)

        self.each(body)


class Sends(Both):
    def test_samples_outlast_a_server_that_is_away(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self)
            handed_back: list[Any] = []
            async with make(server.url, **SOON) as client:
                sampler = client.sampler(on_unsent=lambda *told: handed_back.append(told))
                add = getattr(sampler, "wrapped", sampler).add
                server.kill()
                for number in range(300):
                    add("temperature", number, {"site": "oslo"})
                self.assertEqual(sampler.unsent, 300)
                server.start()
                await asyncio.to_thread(eventually, "all samples", lambda: sampler.unsent == 0)
                values = await client.state("samples/temperature")
                self.assertEqual(values['{site="oslo"}']["value"], 299)
                self.assertEqual(handed_back, [])
                server.kill()
                add("temperature", 300)
                await sampler.aclose(0.2)
                ((samples, error),) = handed_back
                self.assertEqual((samples[0]["value"], error.code), (300, "closed"))
                with self.assertRaises(UnsentError):
                    add("temperature", 301)

        self.each(body)

    def test_what_there_is_can_be_asked_for(self) -> None:
        async def body(make: Any) -> None:
            config = '[[topic]]\nmatch = "lab/state"\nkind = "state"\n'
            server = Server(self, config=config)
            async with make(server.url, **SOON) as client:
                for number in range(3):
                    await client.publish("lab/stream", number)
                events = await all_of(client.history("lab/stream"))
                self.assertEqual([event.data for event in events], [0, 1, 2])
                with self.assertLogs("bellwire", "WARNING") as logs:
                    events = await all_of(client.history("lab/stream", after="e1-1"))
                self.assertEqual([event.data for event in events], [0, 1, 2])
                self.assertIn("events are missing", logs.output[0])
                with self.assertRaises(BellwireError) as refused:
                    await client.state("lab/stream")
                self.assertEqual(refused.exception.code, "kind_mismatch")
                made = await client.publish("lab/state", {"on": True}, key="a b")
                self.assertEqual(await client.state("lab/state"), {"a b": {"on": True}})
                with self.assertRaises(BellwireError) as refused:
                    await all_of(client.history("lab/state"))
                self.assertEqual(refused.exception.code, "kind_mismatch")
                with self.assertRaises(ProblemError) as raised:
                    await client.publish(
                        "lab/state", 1, key="a b", if_version=made["version"] + "0"
                    )
                self.assertEqual(raised.exception.version, made["version"])
                await client.delete("lab/state", "a b", if_version=made["version"])
                self.assertEqual(await client.state("lab/state"), {})
                taken = await client.samples(
                    [{"name": "load", "labels": {"site": "oslo"}, "value": 0.5}, {"name": "x"}]
                )
                self.assertEqual((taken["accepted"], taken["rejected"]), (1, 1))
                found = await client.query('load{site="oslo"} * 2')
                self.assertEqual(found['{site="oslo"}']["value"], 1)
                with self.assertRaises(ProblemError):
                    await client.query("load{")

        self.each(body)

    def test_alerts_are_acknowledged(self) -> None:
        async def body(make: Any) -> None:
            server = Server(self, rules=RULES)
            async with make(server.url, **SOON) as client:
                await client.samples([{"name": "heat", "labels": {"site": "oslo"}, "value": 93.5}])
                board = client.subscribe("alerts/active")
                while (alert := (await board.__anext__()).data)["state"] != "firing":
                    pass
                fingerprint = alert["fingerprint"]
                acknowledged = await client.acknowledge(fingerprint, "ada", "on it")
                self.assertEqual(acknowledged["acknowledged"]["by"], "ada")
                await client.unacknowledge(fingerprint)
                alerts = await client.state("alerts/active")
                self.assertEqual(alerts[fingerprint]["state"], "firing")
                with self.assertRaises(ProblemError) as raised:
                    await client.acknowledge("0000000000000000", "ada")
                self.assertEqual(raised.exception.code, "alert_not_found")

        self.each(body)

    def test_a_program_that_ends_has_what_waits_sent(self) -> None:
        server = Server(self)
        code = """
import sys
from bellwire import Client
Client(sys.argv[1]).sampler().add("temperature", 21.4)
"""
        root = str(Path(__file__).parents[1])
        subprocess.run([sys.executable, "-c", code, server.url], cwd=root, check=True)
        with Client(server.url) as client:
            self.assertEqual(client.state("samples/temperature")["{}"]["value"], 21.4)

    def test_who_has_less_time_waits_for_nobody_who_has_more(self) -> None:
        server = Server(self)

        async def body(make: Any) -> None:
            wire = Wire(self, server)
            wire.is_mute = True
            async with make(wire.url, **SOON) as client:
                first = asyncio.ensure_future(client.publish("lab/a", 1, timeout=2 * PATIENCE_S))
                await asyncio.to_thread(eventually, "a request", lambda: wire.connections)
                with self.assertRaises(UnsentError) as raised:
                    await client.publish("lab/a", 2, timeout=0.2)
                self.assertEqual(raised.exception.code, "unanswered")
                self.assertFalse(raised.exception.may_be_taken)
                self.assertFalse(first.done())
                wire.is_mute = False
                wire.cut()
                self.assertIn("cursor", await first)
                self.assertEqual(client.unsent, 0)

        self.each(body)


class Interrupted(unittest.TestCase):
    def test_a_wait_that_is_cancelled_loses_nothing(self) -> None:
        async def body() -> None:
            server = Server(self)
            async with AsyncClient(server.url) as client:
                subscription = client.subscribe("lab/a", controls=True)
                self.assertEqual(await take(subscription, 1), ["ready"])
                taken: list[Any] = []
                for number in range(10):
                    await client.publish("lab/a", number)
                    while len(taken) <= number:
                        try:
                            item = await asyncio.wait_for(subscription.__anext__(), 0.0005)
                            taken.append(getattr(item, "data", None))
                        except asyncio.TimeoutError:
                            continue
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(subscription.__anext__(), 0.01)
                self.assertEqual(taken, list(range(10)))

        asyncio.run(body())

    def test_ctrl_c_ends_a_wait_and_the_next_goes_on(self) -> None:
        server = Server(self)

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        with Client(server.url, **SOON) as client:
            subscription = client.subscribe("lab/a", controls=True)
            self.assertIsInstance(next(subscription), Control)
            with self.assertRaises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                next(subscription)
            client.publish("lab/a", 1)
            items = [next(subscription) for _ in range(2)]
            self.assertIn(1, [getattr(item, "data", None) for item in items])

    def test_ctrl_c_within_the_client_itself_loses_nothing(self) -> None:
        server = Server(self)
        is_live = threading.Event()

        def interrupt(status: Any) -> None:
            if status.status == "live" and not is_live.is_set():
                is_live.set()
                raise KeyboardInterrupt

        with Client(server.url, **SOON) as client:
            client.publish("lab/a", 1)
            subscription = client.subscribe("lab/a", after="earliest", on_status=interrupt)
            self.assertEqual(next(subscription).data, 1)
            with self.assertRaises(KeyboardInterrupt):
                next(subscription)
            client.publish("lab/a", 2)
            self.assertEqual(next(subscription).data, 2)

    def test_nothing_is_left_behind(self) -> None:
        server = Server(self)
        with Client(server.url) as client:
            client.publish("lab/a", 1)
            for event in client.subscribe("lab/a", after="earliest"):
                self.assertEqual(event.data, 1)
                break
        eventually(
            "the end of all threads",
            lambda: (
                not [
                    thread for thread in threading.enumerate() if thread.name.startswith("bellwire")
                ]
            ),
        )


def issuer(test: unittest.TestCase) -> Any:
    """A server that takes tokens of its own secret, and what makes them."""
    access = """
[[access.role]]
name = "reader"
subscribe = ["lab/**"]
publish = ["lab/**"]

[[access.issuer]]
name = "me"
audiences = ["bellwire"]
roles = ["reader"]
leeway = "0s"

[[access.issuer.key]]
secret_file = "SECRET"
"""

    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    secret = Path(folder.name) / "secret"
    secret.write_text("a secret of thirty-two bytes and more")
    server = Server(test, config=access.replace("SECRET", str(secret)))
    command = [
        BINARY,
        "token",
        "make",
        "--secret-file",
        str(secret),
        "--issuer",
        "me",
        "--audience",
        "bellwire",
        "--subject",
        "ada",
        "--valid-for",
    ]
    return server, lambda valid: subprocess.check_output([*command, valid], text=True).strip()
