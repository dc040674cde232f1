"""Values that are kept in files, under the name of the module in which the later yarp has them."""

from eshet.reactive import store
from eshet.reactive.store import *  # noqa: F403 - all of its names

__all__ = [*store.__all__]
