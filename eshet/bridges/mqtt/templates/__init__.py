"""The templates in discovery messages: https://www.home-assistant.io/docs/configuration/templating/.

A small part of Jinja, evaluated by our own code: enough for the announcements of firmwares. Loops
and calls are not supported, and the length of texts and the amount of work are bounded, so that no
message can keep the event loop busy. Other templates are evaluated by jinja2, if that is installed,
in a process of its own. The modules, from top to bottom:

    jinja         evaluates templates with jinja2
    jinja_worker  the process that does so
    blocks        a template: text, expressions, and conditions
    expressions   parses an expression into a function of the variables
    filters       the filters, after `|`, and the tests, after `is`
    values        the variables, missing values, limits, and errors

An expression may have:

- `value`, `value_json`, literals, lists and maps, `value_json.a`, `value_json["a"][0]`
- `+ - * / // % ~ == != < <= > >= in`, `not`, `and`, `or`, `a if b else c`
- `is` and `is not` with `defined`, `none`, `true`, `false`, `number`, `string`
- the filters `default`, `int`, `float`, `round`, `abs`, `lower`, `upper`, `trim`, `string`,
  `bool`, `length`, `first`, `last`, `join`, `replace`, `truncate`, `tojson`, `is_defined`, `iif`
"""

from eshet.bridges.mqtt.templates.blocks import Template
from eshet.bridges.mqtt.templates.jinja import JinjaTemplates, Rendered, installed_jinja
from eshet.bridges.mqtt.templates.values import MissingValue, TemplateFailed, UnsupportedTemplate

__all__ = [
    "JinjaTemplates",
    "MissingValue",
    "Rendered",
    "Template",
    "TemplateFailed",
    "UnsupportedTemplate",
    "installed_jinja",
]
