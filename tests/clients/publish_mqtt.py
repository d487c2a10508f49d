"""Publishes with paho: 200 messages with each version, then one that is no number."""

import sys

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

for version, name in [(MQTTv311, "paho4"), (MQTTv5, "paho5")]:
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
    reasons = []
    client.on_publish = lambda client, data, number, reason, properties: reasons.append(reason)
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_start()
    topic = f"sensors/oslo/{name}/count"
    sent = [client.publish(topic, str(number), qos=1) for number in range(1, 201)]
    for message in sent:
        message.wait_for_publish()
    print("acknowledged", len(reasons))
    if version == MQTTv5:
        client.publish(topic, "none", qos=1).wait_for_publish()
        print("refused", reasons[-1])
    client.disconnect()
    client.loop_stop()
