"""Devices of an MQTT broker.

    bridge           all devices of one broker, as nodes of a server
    zigbee2mqtt      reads devices of zigbee2mqtt
    exposes          what zigbee2mqtt says of a device's values
    tasmota          reads devices with Tasmota
    tasmota_config   what such a device says of itself
    shelly1          reads Shelly devices of generation 1
    shelly_rpc       reads Shelly devices of generation 2 and later
    discovery        reads devices that announce themselves as Home Assistant wants it
    templates        the templates in these announcements
    raw_topics       messages of chosen topics as they are
    publishing       publishes chosen nodes of the server on the broker
    retained         finds commands that the broker has stored, and sends again and again
    json_text        JSON in messages
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
