"""Devices of an MQTT broker.

    connection       keeps a bridge connected: backoff, subscriptions, commands that expire
    receiver         passes messages to the handlers of subscriptions, in turns
    inbox            messages that wait for handlers, and the order of acknowledgements
    paho_broker      a real broker, by paho-mqtt
    paho_connection  one connection to it, whose socket is served by the event loop
    memory_broker    a broker in memory, for tests in virtual time
    broker           the interface to a broker
    filters          topics and filters

The readers of devices use `MqttConnection`, and know nothing of the broker behind it.
"""
