"""The driver of this client for the suite of `clients/conformance`, which says what it speaks.

`python tests/conformance_driver.py Client`, or `AsyncClient`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable

# As a script it knows no packages beside it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bellwire import BellwireError, Control
from tests.both import CLIENTS

CAPABILITIES = [
    "sse", "poll", "state", "queries", "tokens", "renew", "store", "pause", "publish", "samples",
]  # fmt: skip
#: Each follow of the client without `async` has a thread that waits.
THREADS_MAX = 300


#: One line at a time: threads tell, too.
_telling = threading.Lock()


def tell(**told: Any) -> None:
    with _telling:
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def error_of(error: BaseException) -> dict[str, Any]:
    if not isinstance(error, BellwireError):
        return {"code": "argument_invalid", "message": repr(error)}
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    for name in ("status", "may_be_taken", "idempotency_key"):
        told[name] = getattr(error, name, None)
    retry_after_s = getattr(error, "retry_after_s", None)
    told["retry_after_ms"] = None if retry_after_s is None else retry_after_s * 1_000
    return {name: value for name, value in told.items() if value is not None}


def giving(tokens: list[str | None]) -> Callable[[], str]:
    """A function that gives one after the other."""
    left = list(tokens)

    def give() -> str:
        token = left.pop(0) if len(left) > 1 else left[0]
        if token is None:
            raise OSError("there is no token at the moment")
        return token

    return give


class Store:
    def __init__(self, kept: dict[str, str], name: str) -> None:
        self._kept = kept
        self._name = name

    def get(self) -> str | None:
        return self._kept.get(self._name)

    def set(self, cursor: str) -> None:
        self._kept[self._name] = cursor


class Driver:
    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        #: Calls of a client without `async` have an order where each waits for the one before.
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._clients: dict[str, Any] = {}
        self._kept: dict[str, str] = {}
        self._follows: dict[str, tuple[Any, asyncio.Event]] = {}

    def do(self, command: dict[str, Any]) -> Any:
        """What is to be awaited, if anything."""
        action = command["do"]
        if action in ("follow", "publish", "samples"):
            return self._attempt(command, getattr(self, f"_{action}"))
        subscription, gate = self._follows.get(command.get("id", ""), (None, asyncio.Event()))
        if action == "close" and subscription is not None:
            gate.set()
            return subscription.aclose()
        if action == "pause":
            gate.clear()
        elif action == "resume":
            gate.set()
        return None

    async def _attempt(self, command: dict[str, Any], action: Any) -> None:
        try:
            await action(command)
        except Exception as error:
            tell(id=command["id"], tell="error", error=error_of(error))

    async def _follow(self, command: dict[str, Any]) -> None:
        name = command["id"]
        options = {key: command[key] for key in ("after", "queries", "state") if key in command}
        if "store" in command:
            options["store"] = Store(self._kept, command["store"])
        if command.get("transport") in ("sse", "poll"):
            options["transport"] = command["transport"]

        def tell_status(status: Any) -> None:
            if status.status == "closed":
                return
            told = {} if status.error is None else {"error": error_of(status.error)}
            if status.retry_in_s is not None:
                told["retry_in_ms"] = status.retry_in_s * 1_000
            tell(id=name, tell="status", status=status.status, **told)

        client = self._client_of(command)
        subscription = client.subscribe(
            command.get("filters", []), controls=True, on_status=tell_status, **options
        )
        gate = asyncio.Event()
        gate.set()
        self._follows[name] = (subscription, gate)
        error = None
        try:
            async for item in subscription:
                kind = "control" if isinstance(item, Control) else "event"
                tell(id=name, tell=kind, **{kind: item.raw})
                await gate.wait()
        except BellwireError as fault:
            error = error_of(fault)
        del self._follows[name]
        tell(id=name, tell="closed", error=error)

    async def _publish(self, command: dict[str, Any]) -> None:
        options = {
            key: command[key] for key in ("key", "type", "idempotency_key") if key in command
        }
        client = self._client_of(command)
        async with self._turn_of(command):
            answer = await client.publish(
                command["topic"], command["data"], **options, **_timeout(command)
            )
        tell(id=command["id"], tell="answer", answer=answer)

    async def _samples(self, command: dict[str, Any]) -> None:
        client = self._client_of(command)
        answer = await client.samples(command["samples"], **_timeout(command))
        tell(id=command["id"], tell="answer", answer=answer)

    def _turn_of(self, command: dict[str, Any]) -> Any:
        has_turns = self._make is CLIENTS["Client"]
        return self._turns[command.get("client") or command["id"]] if has_turns else nullcontext()

    def _client_of(self, command: dict[str, Any]) -> Any:
        name = command.get("client") or command["id"]
        if name not in self._clients:
            tokens = command.get("tokens")
            token = giving(tokens) if tokens else command.get("token")
            self._clients[name] = self._make(command["url"], token=token)
        return self._clients[name]

    async def close(self) -> None:
        await asyncio.gather(*[client.aclose() for client in self._clients.values()])


def _timeout(command: dict[str, Any]) -> dict[str, float]:
    return {"timeout": command["timeout_ms"] / 1_000} if "timeout_ms" in command else {}


async def main(name: str) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS_MAX))
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    driver = Driver(CLIENTS[name])
    tell(tell="hello", name=f"bellwire (Python), {name}", capabilities=CAPABILITIES)
    under_way: set[asyncio.Future[Any]] = set()
    while line := await reader.readline():
        command = json.loads(line)
        if command["do"] == "exit":
            break
        work = driver.do(command)
        if work is not None:
            task = asyncio.ensure_future(work)
            under_way.add(task)
            task.add_done_callback(under_way.discard)
    await driver.close()
    if under_way:
        await asyncio.wait(under_way)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
