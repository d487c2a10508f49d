"""The PyPI package `influxdb`, which speaks to InfluxDB 1: pings, makes a database, writes points."""

import sys
from urllib.parse import urlsplit

from influxdb import InfluxDBClient

url = urlsplit(sys.argv[1])
# A name and a password, where the server asks for them.
username, password = sys.argv[2:] or ("root", "root")
client = InfluxDBClient(url.hostname, url.port, username, password, "lab")
print("version", client.ping())
client.create_database("lab")
print("databases", [database["name"] for database in client.get_list_database()])
points = [
    {"measurement": "boiler", "tags": {"site": site}, "fields": {"temperature": 70.5, "on": True}}
    for site in ("oslo", "bergen")
]
assert client.write_points(points, time_precision="ms")
assert client.write_points(points, protocol="json")
