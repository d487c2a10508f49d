"""The package as others meet it: built, and its README typed in."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

from bellwire import Client

from .server import PATIENCE_S, Server

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)

#: Where the README's server listens.
HOST = "http://localhost:8080"

#: What each example prints, in the order of the README.
PRINTED = [
    r"^not sent: 0$",
    r"^1 kept for later: ",
    r"""^\d+ {'text': 'hello'}\n(.*\n)*{site="oslo"} 93.5\n(.*\n)*{site="oslo"} 93.5 [1-9]\d* [1-9]\d*$""",
    r"^chat/general {'text': 'hello'}$",
    r"^events are missing up to here: epoch\n(.*\n)*event {'text': 'hello'}$",
    r"^{'text': 'hello'}\nkept e\d+-\d+$",
    r"^it is durable, at e\d+-\d+\n1 accepted$",
    r"^{'text': 'hello'}$",
    r"^$",
]


class Package(unittest.TestCase):
    def test_the_wheel_has_all_and_needs_httpx_alone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            code = f"from flit_core.buildapi import build_wheel; print(build_wheel({folder!r}))"
            subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE
            )
            (wheel,) = Path(folder).glob("bellwire-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                names = set(archive.namelist())
                (metadata,) = [name for name in names if name.endswith("METADATA")]
                told = archive.read(metadata).decode()
        modules = {
            f"bellwire/{file.name}" for file in (ROOT / "bellwire").iterdir() if file.is_file()
        }
        self.assertLessEqual(modules, names)
        self.assertIn("bellwire/py.typed", names)
        self.assertEqual(
            re.findall(r"^Requires-Dist: (.*)$", told, re.MULTILINE), ["httpx>=0.25,<1"]
        )
        self.assertIn("License-Expression: Apache-2.0\n", told)

    def test_it_imports_nothing_else(self) -> None:
        found = set()
        for file in (ROOT / "bellwire").glob("*.py"):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.Import):
                    found |= {name.name.split(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    found.add(str(node.module).split(".")[0])
        specs = {name: importlib.util.find_spec(name) for name in found}
        foreign = {
            name for name, spec in specs.items() if spec and "site-packages" in str(spec.origin)
        }
        self.assertEqual(foreign, {"httpx"})


class Readme(unittest.TestCase):
    def test_what_it_shows_does_what_it_says(self) -> None:
        self.assertEqual(len(EXAMPLES), len(PRINTED))
        server = Server(self)
        client = Client(server.url)
        self.addCleanup(client.close)

        def say() -> None:
            # The same words for each example: those that follow wait for them.
            client.publish("chat/general", {"text": "hello"})
            client.samples([{"name": "temperature", "labels": {"site": "oslo"}, "value": 93.5}])

        for number, (code, printed) in enumerate(zip(EXAMPLES, PRINTED)):
            with self.subTest(number), tempfile.TemporaryDirectory() as folder:
                self.assertTrue(HOST in code or "https://" in code, code)
                say()
                file, output = Path(folder) / "example.py", Path(folder) / "output"
                file.write_text(code.replace(HOST, server.url))
                path = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
                with output.open("wb") as log:
                    child = subprocess.Popen(
                        [sys.executable, str(file)], cwd=folder, env=path, stdout=log, stderr=log
                    )
                try:
                    deadline = time.monotonic() + PATIENCE_S
                    while not self._has_shown(output.read_text(), printed, child):
                        self.assertLess(time.monotonic(), deadline, f"{code}\n{output.read_text()}")
                        say()
                        time.sleep(0.1)
                finally:
                    child.kill()
                    child.wait()

    def _has_shown(self, text: str, printed: str, child: subprocess.Popen[bytes]) -> bool:
        self.assertNotIn("Traceback", text)
        if printed == "^$":
            return child.poll() == 0 and text == ""
        return re.search(printed, text, re.MULTILINE) is not None
