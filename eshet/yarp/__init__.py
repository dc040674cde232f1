"""Reactive values and events tied to paths: the vocabulary of rules.

    sources             values and events that follow a path
    sinks               outputs to a path when values change or events emit
    driving             the wanted value of a path, if several rules and a person decide
    acting              calls of functions of rules
    accepted            which values a settable state accepts
    outputs             the outputs of sinks, held back while a version is being prepared (those of
                        direct calls are in `eshet.client.view`)
    default_client      the client that both use by default
    default_strategy    the strategy under which sinks run by default
    store               values saved in files
    resending           repeats outputs that were not delivered
    debug               the graph as data and as a drawing; each step of transactions
    compat              names that exist only for rules written for PyPI's yarp
    fsm                 `FSM`, as in yarp's module of that name
    temporal            time operators, as in yarp's module of that name
    utils               helpers, as in yarp's module of that name
    value               `Value` and `Event`, as in yarp's module of that name

    from eshet import yarp

    lux = await yarp.state_observe("/hall/lux")
    await yarp.set_value("/hall/light", lux < 40)

This contains all names of `eshet.reactive`, and so all public names of plain yarp: to move a rule
from plain yarp, change its import. The modules `fsm`, `store`, `temporal`, `utils` and `value` have
the contents of yarp's modules of these names.
"""

import difflib
import sys
from typing import TYPE_CHECKING, NoReturn

from eshet import reactive
from eshet.reactive import *  # noqa: F403 - it has an __all__ of its own
from eshet.reactive.core.handle import Reactive
from eshet.unknown import Unknown
from eshet.yarp import compat, debug, store
from eshet.yarp.acting import act
from eshet.yarp.default_client import (
    get_default_eshet_client,
    set_default_eshet_client,
    using_client,
)
from eshet.yarp.driving.sink import drive
from eshet.yarp.sinks import (
    action_call,
    event_register,
    set_value,
    state_register,
    state_register_set_event,
)
from eshet.yarp.sources import event_listen, state_observe
from eshet.yarp.store import file_backed_value

__all__ = [
    *reactive.__all__,
    "Reactive",
    "Unknown",
    "act",
    "action_call",
    "compat",
    "debug",
    "drive",
    "event_listen",
    "event_register",
    "file_backed_value",
    "get_default_eshet_client",
    "set_default_eshet_client",
    "set_value",
    "state_observe",
    "state_register",
    "state_register_set_event",
    "store",
    "using_client",
]

if not TYPE_CHECKING:  # a type checker reports misspelt names itself

    def __getattr__(name: str) -> NoReturn:
        near = difflib.get_close_matches(name, __all__, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        # Without `name`, as Python 3.12 and later would add a suggestion of its own.
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}{hint}", obj=sys.modules[__name__]
        )
