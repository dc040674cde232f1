"""Bridges: devices that speak another protocol, as nodes of an ESHET server.

    kinds               the kinds of values that properties have, with their limits
    device              a device as data: its properties, events and actions
    names               device names as path segments, and aliases
    tree                the devices of a bridge, as nodes of a server
    published_device    one device of the tree: its nodes and its availability
    property_state      the state of a property: its reported and its published value
    registration_queue  registers the nodes in order
    server_connection   the name of a bridge on the server, and its connections
    bridge              the interface of all bridges, and the function that makes one
    scope               logs the errors of callbacks of a bridge
    own_nodes           the nodes of a bridge about itself, and whether it is connected
    device_list         the devices of all bridges of a server, for callers outside of it
    inventory           the list of devices, as data
    settings            the tables `[bridges.NAME]` and `[alias]` of a configuration file
    homeassistant       the entities and services of a Home Assistant
    mqtt                devices of an MQTT broker: zigbee2mqtt, Tasmota, Shelly, and all others that
                        support Home Assistant's discovery
    nats                the nodes of a server on a tree on NATS, and the other way round
    notify              notifications to users, by ntfy and other services
    exceptions          the errors of bridges

A bridge is a client with an id of its own, so that all its states become unknown when it ends. It
knows nothing of rules.
"""
