"""Devices of an MQTT broker."""
