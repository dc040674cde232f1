"""The description of the page's API is made of its endpoints; run this file to make it anew."""

import json
from pathlib import Path
from typing import Any, cast

import msgspec

from eshet_rules.runner.view import RunnerView
from eshet_rules.web.api import Api
from eshet_rules.web.openapi import description

FILE = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


class _Anything:
    """Stands for the parts of a runner, which no endpoint uses before it is asked."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self


def made() -> str:
    content = description(Api(cast(RunnerView, _Anything())).endpoints())
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def test_the_description_is_that_of_the_endpoints() -> None:
    assert FILE.read_text() == made(), f"run {__file__}"


def test_each_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    operations = [each for path in json.loads(made())["paths"].values() for each in path.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names) > 20
    assert all(each["summary"] for each in operations)


def test_each_reference_leads_to_a_schema() -> None:
    content = json.loads(made())
    schemas = content["components"]["schemas"]

    def references(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"].rpartition("/")[2]
            for each in part.values():
                yield from references(each)
        elif isinstance(part, list):
            for each in part:
                yield from references(each)

    assert set(references(content)) <= schemas.keys()
    msgspec.json.decode(made())


if __name__ == "__main__":
    FILE.write_text(made())
