"""`FSM`, under the module name of later yarp versions."""

from eshet.reactive.time.fsm import FSM

__all__ = ["FSM"]
