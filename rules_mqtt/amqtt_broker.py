"""An MQTT broker in Python, for `make run-mqtt` on a machine without mosquitto.

    python rules_mqtt/amqtt_broker.py [--port 18830]

amqtt has MQTT 3.1.1 only, and keeps its messages in memory.
"""

import argparse
import asyncio
import logging

from amqtt.broker import Broker
from amqtt.errors import MQTTError
from amqtt.mqtt.connect import ConnectPacket, ConnectVariableHeader


class Header(ConnectVariableHeader):
    """The first part of the packet with which a client connects.

    amqtt 0.12 reads a packet of MQTT 5 by the rules of 3.1.1, and waits for bytes that do not
    come. Without an answer, a client tries MQTT 5 again each time; when the connection is closed,
    it tries 3.1.1.
    """

    @classmethod
    async def from_stream(cls, reader, fixed_header):
        header = await super().from_stream(reader, fixed_header)
        if header.proto_level != 4:
            raise MQTTError("this broker has MQTT 3.1.1 only")
        return header


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=18830, help="on this machine")
    logging.disable(logging.WARNING)  # it warns of each client that tries MQTT 5 first
    ConnectPacket.VARIABLE_HEADER = Header
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listener = {"type": "tcp", "bind": f"127.0.0.1:{parser.parse_args().port}"}
    broker = Broker({"listeners": {"default": listener}, "plugins": anonymous})
    await broker.start()
    await asyncio.Event().wait()  # until it is terminated: it has nothing to store


if __name__ == "__main__":
    asyncio.run(main())
