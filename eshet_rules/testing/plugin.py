"""The pytest plugin: the fixture `house`, and async tests that run in its virtual time.

pytest finds it by the entry point `pytest11` of this package; there is nothing to configure. An
`async def` test that uses `house`, directly or through another fixture, runs in its event loop,
whatever other plugins are configured for async tests.
"""

import functools
import inspect
import unittest
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from _pytest.unittest import TestCaseFunction

if TYPE_CHECKING:  # pytest imports this module in each run, also in projects without rules
    from eshet_rules.testing.house import House

__all__ = ["house"]

_FIXTURE: Final = "house"


@pytest.fixture(name=_FIXTURE)
def house(request: pytest.FixtureRequest) -> "Iterator[House]":
    """Yield a house in virtual time; the test fails if a rule had an error that it did not clear.

    Files of rules are found relative to the folder of the test, and the folders above it.
    """
    from eshet_rules.testing.house import House

    with House([request.path.parent]) as house:
        yield house
        house.run(house.settle())
    if problems := _problems(house):
        pytest.fail(problems, pytrace=False)


def _problems(house: "House") -> str:
    """Return the errors of rules and of the test itself that it has not noticed."""
    problems = house.calls_made.forgotten()
    if house.errors:
        problems.append("rules had errors; if that is right, check and clear house.errors:")
    return "\n".join([*problems, *house.errors])


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem(collector: Any) -> Generator[None, Any, Any]:
    """Make async tests with a house plain functions, before other plugins see them."""
    collected = yield
    for item in collected if isinstance(collected, list) else [collected]:
        if isinstance(item, pytest.Function) and _uses_house(item):
            _adapt(item)
    return collected


def _uses_house(item: pytest.Function) -> bool:
    """Whether a test uses the fixture of this plugin, and not another one of the same name."""
    found = item._fixtureinfo.name2fixturedefs.get(_FIXTURE)
    return found is not None and getattr(found[-1].func, "__module__", "") == __name__


def _adapt(item: pytest.Function) -> None:
    given = getattr(item.obj, "hypothesis", None)
    if given is not None and inspect.iscoroutinefunction(given.inner_test):
        given.inner_test = _in_house_of_its_own(given.inner_test, item.path)
        _allow_fixture(getattr(item.obj, "__func__", item.obj))
    elif inspect.iscoroutinefunction(item.obj):
        item.obj = _in_house_of(item, item.obj)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail an `async def` test of a `unittest.TestCase`: it would pass without being run."""
    test = getattr(getattr(item, "cls", None), getattr(item, "originalname", None) or "", None)
    if (
        isinstance(item, TestCaseFunction)
        and inspect.iscoroutinefunction(test)
        and not issubclass(item.cls or object, unittest.IsolatedAsyncioTestCase)
        and _uses_house(item)
    ):
        pytest.fail(
            f"{item.name} is an `async def` of a unittest.TestCase, which does not run it: write "
            "`def`, and pass coroutines to `house.run`",
            pytrace=False,
        )


def _in_house_of(item: pytest.Function, test: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        house: Any = item.funcargs[_FIXTURE]
        house.run(test(*args, **kwargs))

    return run


def _in_house_of_its_own(test: Callable[..., Any], path: Path) -> Callable[..., None]:
    """Return a plain function that runs an example of hypothesis, each in a new house."""
    from eshet_rules.testing.house import House

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        house = House([path.parent])
        if _FIXTURE in kwargs:
            kwargs[_FIXTURE] = house
        try:
            with house:
                house.run(test(*args, **kwargs))
                house.run(house.settle())
            if problems := _problems(house):
                raise AssertionError(problems)
        except Exception as error:
            error.add_note(f"what happened in the house:\n{house.timeline()}")
            raise

    return run


def _allow_fixture(test: Any) -> None:
    """Switch off the checks of hypothesis for real time, and for fixtures made once for all."""
    from hypothesis import HealthCheck, settings

    chosen: Any = getattr(test, "_hypothesis_internal_use_settings", settings.default)
    allowed = {*chosen.suppress_health_check, HealthCheck.function_scoped_fixture}
    is_default = chosen.deadline == settings().deadline
    test._hypothesis_internal_use_settings = settings(
        chosen,
        suppress_health_check=allowed,
        deadline=None if is_default else chosen.deadline,
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show the timeline of the house when a test fails."""
    report = yield
    house: Any = getattr(item, "funcargs", {}).get(_FIXTURE)
    timeline = house.timeline() if hasattr(house, "happenings") else ""
    if report.failed and timeline:
        report.sections.append(("what happened in the house", timeline))
    return report
