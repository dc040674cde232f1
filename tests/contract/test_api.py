"""The public API is the one of the contract: name for name, default for default."""

import importlib
import inspect
import logging
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import eshet
from eshet.utils import RunInTask, RunSerially, TaskStrategy

CONTRACT = tomllib.loads(Path(__file__).with_name("api.toml").read_text())
NAMES = {"TimeoutConfig": eshet.TimeoutConfig, "RunInTask": RunInTask, "logging": logging}

Entry = dict[str, Any]


def entries() -> Iterator[Any]:
    for module, names in CONTRACT.items():
        for name, entry in names.items():
            yield pytest.param(module, name, entry, id=f"{module}.{name}")
            for member, described in entry.get("members", {}).items():
                path = f"{name}.{member}"
                yield pytest.param(module, path, described, id=f"{module}.{path}")


def look_up(module: str, path: str) -> Any:
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    return found


def expected_parameter(text: str) -> tuple[str, Any]:
    name, has_default, default = text.partition("=")
    return name, eval(default, dict(NAMES)) if has_default else inspect.Parameter.empty  # noqa: S307


def actual_parameters(found: Any) -> list[tuple[str, Any]]:
    parameters = [p for p in inspect.signature(found).parameters.values() if p.name != "self"]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [(stars.get(p.kind, "") + p.name, p.default) for p in parameters]


def how_called(found: Any) -> str:
    if inspect.isasyncgenfunction(found):
        return "iterator"
    return "async" if inspect.iscoroutinefunction(found) else "plain"


@pytest.mark.parametrize(("module", "path", "entry"), list(entries()))
def test_what_stands_in_the_contract_is_there(module: str, path: str, entry: Entry) -> None:
    found = look_up(module, path)
    if "parameters" in entry:
        expected = [expected_parameter(text) for text in entry["parameters"]]
        assert actual_parameters(found)[: len(expected)] == expected
        for name, default in actual_parameters(found)[len(expected) :]:
            assert default is not inspect.Parameter.empty, f"{name} is ours and gets in the way"
    if "call" in entry:
        assert callable(found)
        assert how_called(found) == entry["call"]
    if entry.get("kind") == "class":
        assert inspect.isclass(found)
    if entry.get("kind") == "property":
        assert isinstance(found, property)


@pytest.mark.parametrize(("module", "path", "entry"), list(entries()))
def test_what_stands_in_the_contract_can_be_given_by_name(
    module: str, path: str, entry: Entry
) -> None:
    found = look_up(module, path)
    for text in entry.get("parameters", []):
        name = text.partition("=")[0]
        if not name.startswith("*"):
            kind = inspect.signature(found).parameters[name].kind
            assert kind is not inspect.Parameter.POSITIONAL_ONLY


def test_a_timeout_config_shows_its_values() -> None:
    assert repr(eshet.TimeoutConfig()) == (
        "TimeoutConfig(idle_ping=15, server_timeout=30, ping_timeout=5)"
    )
    assert eshet.TimeoutConfig is importlib.import_module("eshet.protocol").TimeoutConfig


def test_strategies_are_strategies() -> None:
    assert issubclass(RunSerially, TaskStrategy)
    assert issubclass(RunInTask, TaskStrategy)


@pytest.mark.parametrize("module", ["eshet", "eshet.yarp", "eshet.utils", "eshet.reactive"])
def test_what_is_public_is_listed_once_and_documented(module: str) -> None:
    imported = importlib.import_module(module)
    assert len(imported.__all__) == len(set(imported.__all__))
    for name in imported.__all__:
        found = getattr(imported, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__, f"{module}.{name} has no docstring"


def test_the_wrapper_of_a_state_is_in_its_place_in_the_class() -> None:
    assert eshet.Client.StateWrapper is eshet.client.StateWrapper  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("eshet.yarp.temporal", ["delay", "emit_at", "now", "rate_limit", "time_window"]),
        ("eshet.yarp.utils", ["emit_fn", "make_same_type", "on_value"]),
        ("eshet.yarp.fsm", ["FSM"]),
        ("eshet.yarp.store", ["FileStoreConfig", "NullStoreConfig", "default_store"]),
        ("eshet.yarp.value", ["Event", "NoValue", "Reactive", "Value"]),
        ("eshet.yarp", ["Reactive", "Unknown", "store"]),
        ("eshet.client", ["TimeoutConfig", "Unknown"]),
        ("eshet.exceptions", ["ESHETException"]),
    ],
)
def test_names_are_found_where_the_original_has_them(module: str, names: list[str]) -> None:
    found = importlib.import_module(module)
    assert [name for name in names if not hasattr(found, name)] == []
