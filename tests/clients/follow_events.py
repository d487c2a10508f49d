"""The PyPI package `httpx-sse`, which makes an event of each empty line: prints what it makes."""

import json
import sys

import httpx
from httpx_sse import connect_sse

with httpx.Client(timeout=None) as client:
    with connect_sse(client, "GET", sys.argv[1]) as source:
        for event in source.iter_sse():
            print(json.dumps({"event": event.event, "data": event.data, "id": event.id}), flush=True)
