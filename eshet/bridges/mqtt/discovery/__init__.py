"""Home Assistant's discovery: devices that announce themselves.

config         the JSON of announcements: topics and abbreviations
abbreviations  the abbreviations of options, as data
components     the values and commands of each component, from its options
single         components of one value
lights         lights
appliances     covers, climate devices, locks and fans
options        helpers for options: topics, templates, texts for values
parts          values, commands and triggers of an entity
entity         an entity: connects its topics with its device
availability   whether an entity is available
reader         all entities and devices of a broker
"""
