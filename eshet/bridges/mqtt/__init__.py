"""Devices of an MQTT broker.

    bridge           all devices of one broker, as nodes of a server
    zigbee2mqtt      reads devices of zigbee2mqtt
    exposes          the values of a device, as zigbee2mqtt describes them
    tasmota          reads devices with Tasmota
    tasmota_config   the description that such a device publishes
    shelly1          reads Shelly devices of generation 1
    shelly_rpc       reads Shelly devices of generation 2 and later
    discovery        reads devices that use Home Assistant's MQTT discovery
    templates        the templates in these announcements
    raw_topics       messages of chosen topics, without interpretation
    publishing       publishes chosen nodes of the server on the broker
    retained         finds retained commands, which the broker sends at each subscription
    json_text        JSON in messages
    connection       keeps a bridge connected: backoff, subscriptions
    outbox           the messages to be sent, in order, and those that are not acknowledged yet
    receiver         passes messages to the handlers of subscriptions, in turns
    inbox            queues of messages for handlers, and the order of acknowledgements
    paho_broker      a real broker, through paho-mqtt
    paho_connection  one connection to it, with its socket served by the event loop
    memory_broker    a broker in memory, for tests in virtual time
    broker           the interface to a broker
    filters          topics and filters

The readers of devices use `MqttConnection`, and know nothing of the broker behind it.
"""
