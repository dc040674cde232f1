"""Bridges: devices that speak another protocol, as nodes of an ESHET server.

    kinds               the kinds of values of properties: what is allowed
    device              what a device has: properties, events and actions
    names               device names as path segments, and aliases
    tree                the devices of a bridge, as nodes of a server
    published_device    one of them: its nodes, and whether it is there
    property_state      the state of a property: what was reported, and what is published
    registration_queue  registers the nodes in order
    bridge              what all bridges have in common, and how one is made
    scope               where the errors of a bridge's callbacks are reported
    inventory           what devices there are, as data
    settings            the tables `[bridges.NAME]` and `[alias]` of a configuration file
    homeassistant       the entities and services of a Home Assistant
    mqtt                devices of an MQTT broker: zigbee2mqtt, Tasmota, Shelly, and all others that
                        support Home Assistant's discovery
    notify              notifications for people, by ntfy and other services
    exceptions          the errors of bridges

A bridge is a client with an id of its own, so that all its states become unknown when it ends. It
knows nothing of rules.
"""
