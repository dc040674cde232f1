"""The errors of bridges.

EshetError
└── BridgeError          a device, or the connection to it, failed
    ├── NotAllowed           (also ValueError) the device does not take this value
    ├── ReadOnly             the property can't be set
    ├── NotJson              (also ValueError) a payload is not valid JSON
    ├── WrongKind            (also ValueError) the device reported a value of another kind
    ├── NotConfirmed         the device has not reported the value that was set
    ├── DeviceOffline        the device is offline
    └── TooManyDevices       the device is not shown, as there are very many
"""

from eshet.exceptions import EshetError
from eshet.text import safe_repr, shorten

__all__ = [
    "BridgeError",
    "DeviceOffline",
    "NotAllowed",
    "NotConfirmed",
    "NotJson",
    "ReadOnly",
    "TooManyDevices",
    "WrongKind",
]


class BridgeError(EshetError):
    """A device, or the connection to it, failed."""


class NotAllowed(BridgeError, ValueError):
    """A device does not take this value.

    Args:
        value: the value.
        allowed: a description of valid values, such as `"a number from 0 to 1"`.
        name: of the property or field; empty for a value without a name.
    """

    def __init__(self, value: object, allowed: str, name: str = "") -> None:
        self.value = value
        self.allowed = allowed
        self.name = name
        place = f"{name}: " if name else ""
        super().__init__(f"{place}{safe_repr(value, 80)} is not allowed: write {allowed}")


class ReadOnly(BridgeError):
    """The property can't be set.

    Args:
        name: of the property.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} can only be read")


class NotJson(BridgeError, ValueError):
    """A payload is not valid JSON, or has values that a message of ESHET can't have.

    Args:
        problem: why, for the log.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class WrongKind(BridgeError, ValueError):
    """A device reported a value of another kind than it had declared.

    Args:
        value: the value.
        expected: such as `"a number"`.
    """

    def __init__(self, value: object, expected: str) -> None:
        self.value = value
        self.expected = expected
        super().__init__(f"{safe_repr(value, 80)} instead of {expected}")


class NotConfirmed(BridgeError):
    """A device has not reported the value that was set.

    Args:
        value: the value.
        seconds: how long the bridge has waited for the report.
        reported: the last reported value.
    """

    def __init__(self, value: object, seconds: float, reported: object) -> None:
        self.value = value
        self.seconds = seconds
        self.reported = reported
        super().__init__(
            f"not_confirmed: {seconds:g} s after {safe_repr(value, 80)} was sent, "
            f"the device still reports {safe_repr(reported, 80)}"
        )


class DeviceOffline(BridgeError):
    """The device is offline; nothing was sent.

    Args:
        name: of the device, or of the hub that it is connected to.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} is offline")


class TooManyDevices(BridgeError):
    """A device is not shown, as there are very many.

    Args:
        device: its name or id.
        most: the maximum number of devices.
    """

    def __init__(self, device: str, most: int) -> None:
        self.device = device
        self.most = most
        super().__init__(f"{shorten(device, 80)} is not shown: there are {most} devices already")
