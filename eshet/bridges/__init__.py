"""Bridges: devices that speak another protocol, as nodes of an ESHET server.

    kinds         the kinds of values that properties have: what is allowed, and how it is described
    device        what a device has: properties, events and actions
    tree          publishes devices as nodes, with unknown states while they are offline
    names         device names as path segments, and aliases
    settings      the table `[bridges.NAME]` of the configuration file
    mqtt          devices of an MQTT broker: zigbee2mqtt, Tasmota, Shelly, and Home Assistant discovery

A bridge is a client with an id of its own, so that all its states become unknown when it ends. It
knows nothing of rules.
"""
