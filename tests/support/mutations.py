"""Frames that are wrong: valid ones with bytes changed, dropped, doubled and cut."""

import random
from collections.abc import Iterator

from eshet import codec, messages
from eshet.messages import Message, pack
from eshet.protocol.framing import frame

__all__ = ["mutated_frames", "valid_frames"]

_VALUE = codec.pack({"x": [1, -5, 2.5, "text", b"bytes", None, True, {}]})


def valid_frames() -> list[bytes]:
    """Return a frame of each message that a client may send after its hello."""
    sent: list[Message] = [
        messages.ActionRegister(1, "/f/a"),
        messages.PropRegister(2, "/f/p"),
        messages.EventRegister(3, "/f/e"),
        messages.StateRegister(4, "/f/s"),
        messages.ActionCall(5, "/f/a", codec.pack([1, "x"])),
        messages.Get(6, "/f/s"),
        messages.Set(7, "/f/p", _VALUE),
        messages.EventListen(8, "/f/e"),
        messages.EventEmit(9, "/f/e", _VALUE),
        messages.StateObserve(10, "/f/s"),
        messages.StateObserveT(11, "/f/s"),
        messages.StateChanged(12, "/f/s", _VALUE),
        messages.StateUnknown(13, "/f/s"),
        messages.Reply(0, _VALUE),
        messages.ReplyError(0, _VALUE),
        messages.Ping(14),
    ]
    return [frame(pack(message)) for message in sent]


def mutated_frames(seed: int) -> Iterator[bytes]:
    """Yield frames without end, most of them broken; the same for the same seed."""
    choose = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    valid = valid_frames()
    while True:
        data = bytearray(choose.choice(valid))
        for _ in range(choose.randrange(1, 4)):
            at = choose.randrange(len(data))
            match choose.randrange(5):
                case 0:
                    data[at] = choose.randrange(256)
                case 1:
                    data[at] ^= 1 << choose.randrange(8)
                case 2:
                    del data[at]
                case 3:
                    data.insert(at, choose.randrange(256))
                case _:
                    data[at:at] = data[at : at + choose.randrange(1, 6)]
            if not data:
                data = bytearray(b"\x47")
        yield bytes(data)
