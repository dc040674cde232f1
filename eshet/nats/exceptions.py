"""The errors of this package.

EshetError
└── NatsError
    ├── NotConnected         (also ConnectionError) there is no connection to a NATS server
    ├── NoAnswer             (also TimeoutError) NATS, or JetStream, does not answer a request
    ├── JetStreamRefused     JetStream answered a request with an error
    └── RevisionConflict     an entry has another revision than expected
"""

from eshet.exceptions import EshetError

__all__ = ["JetStreamRefused", "NatsError", "NoAnswer", "NotConnected", "RevisionConflict"]


class NatsError(EshetError):
    """The base class of the errors of this package."""


class NotConnected(NatsError, ConnectionError):
    """There is no connection to a NATS server, or it was lost before the answer arrived.

    In the second case, the request may or may not have taken effect.

    Args:
        reason: why, such as `"the server closed the connection"`.
    """

    def __init__(self, reason: str = "not connected to NATS") -> None:
        self.reason = reason
        super().__init__(reason)


class NoAnswer(NatsError, TimeoutError):
    """A request was not answered: it may or may not have taken effect.

    Args:
        request: such as `"write hall.light in eshet_nodes"`.
        reason: such as `"no answer within 2 s"`.
    """

    def __init__(self, request: str, reason: str) -> None:
        self.request = request
        self.reason = reason
        super().__init__(f"{request}: {reason}")


class JetStreamRefused(NatsError):
    """JetStream answered a request with an error, and it had no effect.

    Args:
        request: such as `"create eshet_nodes"`.
        code: the `err_code` of JetStream.
        description: the text of JetStream.
        advice: what to do, if that is known.
    """

    def __init__(self, request: str, code: int, description: str, advice: str = "") -> None:
        self.request = request
        self.code = code
        self.description = description
        self.advice = advice
        super().__init__(f"{request}: {description}" + (f"; {advice}" if advice else ""))


class RevisionConflict(NatsError):
    """Another writer has written the entry: it was not changed.

    Args:
        bucket: name.
        key: of the entry.
        revision: the expected one; 0 for no entry.
    """

    def __init__(self, bucket: str, key: str, revision: int) -> None:
        self.bucket = bucket
        self.key = key
        self.revision = revision
        expected = f"has no longer revision {revision}" if revision else "exists already"
        super().__init__(f"{key} in {bucket} {expected}")
