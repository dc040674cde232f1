"""The description of `/api/1` in OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0."""

import inspect
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec

from eshet_rules.web.endpoints import ROOT, Endpoint, Parameter
from eshet_rules.web.schema import Error

__all__ = ["description"]

_PLACE: Final = "#/components/schemas/{name}"


def description(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the description of endpoints, as JSON data."""
    endpoints = list(endpoints)
    answers = list({each.answer: None for each in endpoints})
    references, components = msgspec.json.schema_components([Error, *answers], ref_template=_PLACE)
    schemas = dict(zip([Error, *answers], references, strict=True))
    for each in components.values():
        if "description" in each:  # a docstring
            each["description"] = inspect.cleandoc(each["description"])
    paths: dict[str, Any] = {}
    for each in endpoints:
        place = paths.setdefault(f"{ROOT}{each.path}", {})
        place[each.method.lower()] = _operation(each, schemas[each.answer], schemas[Error])
    return {
        "openapi": "3.1.0",
        "info": {"title": "eshet-rules", "version": version("eshet-rules")},
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "paths": paths,
    }


def _operation(
    endpoint: Endpoint, answer: Mapping[str, Any], error: Mapping[str, Any]
) -> dict[str, Any]:
    in_path = re.findall(r"{(\w+)}", endpoint.path)
    is_post = endpoint.method == "POST"
    operation: dict[str, Any] = {
        "operationId": _name_of(endpoint),
        "summary": endpoint.summary,
        "security": [{"token": []}] if is_post else [{}, {"token": []}],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in in_path
            ),
            *(() if is_post else map(_in_query, endpoint.parameters)),
        ],
        "responses": {
            "200": {"description": "The answer", "content": _json(answer)},
            "default": {"description": "What was wrong", "content": _json(error)},
        },
    }
    if is_post:
        operation["requestBody"] = {"required": True, "content": _json(_body(endpoint.parameters))}
    return operation


def _name_of(endpoint: Endpoint) -> str:
    words = re.findall(r"\w+", endpoint.path.replace("-", "_"))
    return "_".join([endpoint.method.lower(), *words])


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.what,
        "required": parameter.required,
        "schema": dict(parameter.schema),
    }


def _body(parameters: Iterable[Parameter]) -> dict[str, Any]:
    parameters = list(parameters)
    return {
        "type": "object",
        "properties": {each.name: {**each.schema, "description": each.what} for each in parameters},
        "required": [each.name for each in parameters if each.required],
    }


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": dict(schema)}}
