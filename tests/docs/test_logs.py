"""The reference of records in docs/logs.md is made of the schema; run this file to make it anew."""

import inspect
import re
import sys
from pathlib import Path

import msgspec

from eshet_rules.audit import records
from eshet_rules.audit.records.inputs_outputs import WHYS, Output
from eshet_rules.audit.records.schema import EVENTS, Record

PAGE = Path(__file__).parents[2] / "docs" / "logs.md"
BEGIN = "<!-- made of eshet_rules/audit/records by tests/docs/test_logs.py -->\n"
END = "<!-- end -->"

_COMMON = Record.__struct_fields__


def type_name(kind):
    """Return a type as people write it."""
    match kind:
        case msgspec.inspect.Metadata():
            return type_name(kind.type)
        case msgspec.inspect.LiteralType():
            return ", ".join(f"`{value}`" for value in kind.values)
        case msgspec.inspect.UnionType():
            names = [type_name(each) for each in kind.types]
            return ", ".join(name for name in names if name != "null")
        case msgspec.inspect.ListType():
            return f"list of {type_name(kind.item_type)}"
        case msgspec.inspect.DictType():
            return "object"
    names = {"Str": "text", "Int": "whole number", "Float": "number", "Bool": "true or false"}
    names |= {"Any": "anything", "None": "null", "Unset": "null"}
    return names[type(kind).__name__.removesuffix("Type")]


def row(field):
    always = "always" if field.required else ""
    meaning = field.type.extra_json_schema["description"]
    return f"| `{field.encode_name}` | {type_name(field.type)} | {always} | {meaning} |"


def table(fields):
    head = ["| field | type | | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *map(row, fields)])


def whys():
    """Return why an output may be skipped, as a table."""
    head = ["| skipped, as | |", "|---|---|"]
    return "\n".join([*head, *(f"| `{why}` | {meaning} |" for why, meaning in WHYS.items())])


def groups():
    """Iterate over the modules of the schema in the order of their list, with their subjects."""
    for name in re.findall(r"^(\w+)  ", inspect.getdoc(records), re.MULTILINE):
        module = sys.modules[f"{records.__name__}.{name}"]
        subject = inspect.getdoc(module).splitlines()[0].removeprefix("Records of the log: ")
        yield module.__name__, subject[0].upper() + subject[1:].removesuffix(".")


def reference():
    """Return the reference, in the order of the schema."""
    parts = ["### Fields of all records", table(msgspec.inspect.type_info(Record).fields)]
    for module, subject in groups():
        schemas = {n: each for n, each in EVENTS.items() if each.__module__ == module}
        parts += [f"### {subject}"] if schemas else []
        for name, schema in schemas.items():
            fields = [f for f in msgspec.inspect.type_info(schema).fields if f.name not in _COMMON]
            parts.append(f"#### {name}")
            parts.append(f"*{schema.SENTENCE}* ({schema.LEVEL}). {inspect.getdoc(schema)}")
            parts += [table(fields)] if fields else []
            parts += [whys()] if issubclass(schema, Output) and name == "output.set" else []
    return "\n\n".join(parts) + "\n"


def test_each_event_is_in_one_group():
    modules = [module for module, _ in groups()]
    assert {each.__module__ for each in EVENTS.values()} == {*modules} - {Record.__module__}


def test_the_reference_is_that_of_the_schema():
    page = PAGE.read_text()
    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)].strip() == reference().strip()


if __name__ == "__main__":
    text = PAGE.read_text()
    made = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    PAGE.write_text(made.sub(lambda _: f"{BEGIN}\n{reference()}\n{END}", text))
