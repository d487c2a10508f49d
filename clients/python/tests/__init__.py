"""Tests of the client; what it logs is shown where a test looks for it."""

import logging

logging.getLogger("bellwire").addHandler(logging.NullHandler())
logging.getLogger("bellwire").propagate = False
