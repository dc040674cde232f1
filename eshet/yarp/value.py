"""`Value` and `Event`, under the name of the module in which the later yarp has them."""

from eshet.reactive import Event, NoValue, Value
from eshet.reactive.core.handle import Reactive

__all__ = ["Event", "NoValue", "Reactive", "Value"]
