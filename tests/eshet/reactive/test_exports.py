"""The public names, and that none of plain yarp's is missing."""

import inspect

import yarp as plain

from eshet import reactive
from eshet import yarp as eshet_yarp

# What plain yarp has in its namespace by accident: helpers and loop variables of its modules.
ACCIDENTS = {
    "call",
    "continous",
    "function",
    "instantaneous",
    "native_function",
    "swap_args",
    "wraps",
}


def test_every_function_and_class_of_plain_yarp_is_there():
    names = {
        name
        for name, thing in vars(plain).items()
        if not name.startswith("_") and callable(thing) and not inspect.ismodule(thing)
    }
    assert names - ACCIDENTS - set(eshet_yarp.__all__) == set()


def test_what_the_contract_has_beyond_plain_yarp_is_there():
    beyond = """
        Event NoChange Subscription ensure_reactive reactive_list reactive_tuple reactive_dict
        value_to_event event_to_value emit_at on_value emit_fn make_same_type FSM replace_unknown
    """
    assert set(beyond.split()) <= set(reactive.__all__)


def test_every_public_name_exists_and_is_listed_once():
    assert len(reactive.__all__) == len(set(reactive.__all__))
    for name in reactive.__all__:
        assert hasattr(reactive, name)


def test_no_value_is_plain_yarp_s_own():
    assert reactive.NoValue is plain.NoValue
