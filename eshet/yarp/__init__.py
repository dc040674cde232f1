"""Reactive values and events tied to paths: what rules are written with.

    sources             values and events that follow what happens at a path
    sinks               what happens at a path when they change
    outputs             what sinks send, and hold back while a version is prepared
    default_client      the client that both use when they are given none
    default_strategy    the strategy under which sinks run when they are given none
    store               values that are kept in files
    resending           sends again what did not arrive
    debug               the graph as data and as a drawing; each step of transactions
    compat              names that exist for rules written for PyPI's yarp only
    fsm                 `FSM`, as in the module of this name in yarp
    temporal            time operators, as in the module of this name in yarp
    utils               helpers, as in the module of this name in yarp
    value               `Value` and `Event`, as in the module of this name in yarp

    from eshet import yarp

    lux = await yarp.state_observe("/hall/lux")
    await yarp.set_value("/hall/light", lux < 40)

All names of `eshet.reactive` are here too, and so all public names of plain yarp: moving a rule
from plain yarp means changing its import. The modules `fsm`, `store`, `temporal`, `utils` and
`value` have what the modules of yarp of these names have.
"""

from eshet import reactive
from eshet.reactive import *  # noqa: F403 - the vocabulary, which has an __all__ of its own
from eshet.reactive.core.handle import Reactive
from eshet.unknown import Unknown
from eshet.yarp import compat, debug, store
from eshet.yarp.default_client import (
    get_default_eshet_client,
    set_default_eshet_client,
    using_client,
)
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
    "action_call",
    "compat",
    "debug",
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
