"""Devices of an MQTT broker.

    bridge           all devices of one broker, as nodes of an ESHET server
    zigbee2mqtt      devices of zigbee2mqtt
    exposes          the values of such a device, as kinds and conversions
    tasmota          devices with Tasmota
    shelly1          Shelly devices of generation 1
    shelly_rpc       Shelly devices of generation 2 and later
    discovery        all others that support Home Assistant's discovery
    templates        the templates in discovery messages
    raw_topics       messages of chosen topics as they are
    publishing       nodes of the server as topics, and as devices of Home Assistant
    json_text        JSON in messages of devices
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
