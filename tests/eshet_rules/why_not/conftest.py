"""The fixture `house` of the plugin, in place of that of the tests of the runner."""

from eshet_rules.testing.plugin import house as house
