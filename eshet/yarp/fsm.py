"""`FSM`, under the name of the module in which the later yarp has it."""

from eshet.reactive.time.fsm import FSM

__all__ = ["FSM"]
