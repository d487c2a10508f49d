"""Runs all tests, and says on standard output how many there were: `python -m tests`.

The last line has the form of the Rust tests' summary, which the test command reads.
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

folder = Path(__file__).parent
tests = unittest.defaultTestLoader.discover(str(folder), top_level_dir=str(folder.parent))
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
# A test may fail in several of its parts.
wrong = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
skipped = len(result.skipped)
passed = result.testsRun - len(wrong) - skipped
word = "FAILED" if wrong else "ok"
print(f"test result: {word}. {passed} passed; {len(wrong)} failed; {skipped} ignored")
sys.exit(bool(wrong))
