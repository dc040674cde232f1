"""`Value` and `Event`, under the module name of later yarp versions."""

from eshet.reactive import Event, NoValue, Value
from eshet.reactive.core.handle import Reactive

__all__ = ["Event", "NoValue", "Reactive", "Value"]
