"""The scope of a bridge, to which the errors of its callbacks are reported."""

import logging
from typing import Final

from eshet.bridges.exceptions import BridgeError
from eshet.scope import Scope
from eshet.user_errors import error_text

__all__ = ["bridge_scope"]

_log: Final = logging.getLogger("eshet.bridges")


def bridge_scope(name: str) -> Scope:
    """Return the scope for everything that a bridge registers.

    The error that answers a wrong request is not an error of the bridge: it is logged in one line
    at level info.

    Args:
        name: of the bridge.
    """

    def report(error: BaseException, doing: str) -> None:
        if isinstance(error, BridgeError):
            _log.info("%s: %s", doing, error)
        else:
            _log.error("bridge %s: %s: %s", name, doing, error_text(error), exc_info=error)

    return Scope(f"bridge {name}", on_error=report)
