"""The bytes of every message of the wire, and what is no message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eshet import codec, messages
from eshet.exceptions import ProtocolError
from eshet.messages import FROM_CLIENT, FROM_SERVER, NIL, Message, Table, pack, unpack

TEXT = codec.pack("x")

# The wire table, row by row: message, payload, and who sends it.
ROWS: list[tuple[Message, str, list[Table]]] = [
    (messages.Hello(1, 30), "01 01 001e", [FROM_CLIENT]),
    (messages.HelloId(1, 258, TEXT), "02 01 0102 a178", [FROM_CLIENT]),
    (messages.HelloAccepted(), "03", [FROM_SERVER]),
    (messages.HelloAllocated(TEXT), "04 a178", [FROM_SERVER]),
    (messages.Reply(1, NIL), "05 0001 c0", [FROM_CLIENT, FROM_SERVER]),
    (messages.ReplyError(65535, TEXT), "06 ffff a178", [FROM_CLIENT, FROM_SERVER]),
    (messages.ReplyKnown(1, TEXT), "07 0001 a178", [FROM_SERVER]),
    (messages.ReplyUnknown(1), "08 0001", [FROM_SERVER]),
    (messages.Ping(513), "09 0201", [FROM_CLIENT]),
    (messages.ReplyKnownT(1, 1500, TEXT), "0a 0001 000005dc a178", [FROM_SERVER]),
    (messages.ReplyUnknownT(1, 2**32 - 1), "0b 0001 ffffffff", [FROM_SERVER]),
    (messages.ActionRegister(1, "/a/b"), "10 0001 2f612f6200", [FROM_CLIENT]),
    (
        messages.ActionCall(1, "/a", codec.pack([1])),
        "11 0001 2f6100 9101",
        [FROM_CLIENT, FROM_SERVER],
    ),
    (messages.PropRegister(1, "/a"), "20 0001 2f6100", [FROM_CLIENT]),
    (messages.PropGet(1, "/a"), "21 0001 2f6100", [FROM_SERVER]),
    (messages.PropSet(1, "/a", TEXT), "22 0001 2f6100 a178", [FROM_SERVER]),
    (messages.Get(1, "/a"), "23 0001 2f6100", [FROM_CLIENT]),
    (messages.Set(1, "/a", TEXT), "24 0001 2f6100 a178", [FROM_CLIENT]),
    (messages.EventRegister(1, "/a"), "30 0001 2f6100", [FROM_CLIENT]),
    (messages.EventEmit(1, "/a", TEXT), "31 0001 2f6100 a178", [FROM_CLIENT]),
    (messages.EventListen(1, "/a"), "32 0001 2f6100", [FROM_CLIENT]),
    (messages.EventNotify("/a", TEXT), "33 2f6100 a178", [FROM_SERVER]),
    (messages.StateRegister(1, "/a"), "40 0001 2f6100", [FROM_CLIENT]),
    (messages.StateChanged(1, "/a", TEXT), "41 0001 2f6100 a178", [FROM_CLIENT]),
    (messages.StateUnknown(1, "/a"), "42 0001 2f6100", [FROM_CLIENT]),
    (messages.StateObserve(1, "/a"), "43 0001 2f6100", [FROM_CLIENT]),
    (messages.NotifyKnown("/a", TEXT), "44 2f6100 a178", [FROM_SERVER]),
    (messages.NotifyUnknown("/a"), "45 2f6100", [FROM_SERVER]),
    (messages.StateObserveT(1, "/a"), "46 0001 2f6100", [FROM_CLIENT]),
    (messages.StateSet(1, "/a", TEXT), "47 0001 2f6100 a178", [FROM_SERVER]),
]


@pytest.mark.parametrize(("message", "payload", "senders"), ROWS, ids=lambda x: type(x).__name__)
def test_each_row_of_the_wire_table_has_its_bytes(
    message: Message, payload: str, senders: list[Table]
) -> None:
    assert pack(message) == bytes.fromhex(payload)
    for table in (FROM_CLIENT, FROM_SERVER):
        if table in senders:
            assert unpack(bytes.fromhex(payload), table) == message
        else:
            with pytest.raises(ProtocolError, match="can't send"):
                unpack(bytes.fromhex(payload), table)


def test_the_rows_are_all_messages() -> None:
    rows = {type(message) for message, _, _ in ROWS}
    assert rows == {*FROM_CLIENT.values(), *FROM_SERVER.values()}


@pytest.mark.parametrize(("message", "payload", "senders"), ROWS, ids=lambda x: type(x).__name__)
def test_a_payload_cut_short_is_refused(
    message: Message, payload: str, senders: list[Table]
) -> None:
    whole = bytes.fromhex(payload)
    for end in range(len(whole)):
        with pytest.raises(ProtocolError):
            unpack(whole[:end], senders[0])


@pytest.mark.parametrize(("message", "payload", "senders"), ROWS, ids=lambda x: type(x).__name__)
def test_bytes_after_the_last_field_are_refused(
    message: Message, payload: str, senders: list[Table]
) -> None:
    with pytest.raises(ProtocolError):
        unpack(bytes.fromhex(payload) + b"\x00", senders[0])


# --- every message survives pack and unpack ---------------------------------------------------

IDS = st.integers(0, 0xFFFF)
PATHS = st.from_regex(r"(/[A-Za-z0-9_]{1,8}){1,4}", fullmatch=True)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=6,
).map(codec.pack)
FIELDS = {
    "id": IDS,
    "version": st.integers(0, 255),
    "timeout_s": st.integers(0, 0xFFFF),
    "t_ms": st.integers(0, 0xFFFF_FFFF),
    "path": PATHS,
    "value": VALUES,
    "client_id": VALUES,
}
KINDS = sorted({*FROM_CLIENT.values(), *FROM_SERVER.values()}, key=lambda kind: kind.code)


def a_message_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    return st.builds(kind, **{name: FIELDS[name] for name in kind.__match_args__})


@given(st.one_of([a_message_of(kind) for kind in KINDS]))
def test_every_message_survives_pack_and_unpack(message: Message) -> None:
    table = FROM_CLIENT if type(message) in FROM_CLIENT.values() else FROM_SERVER
    assert unpack(pack(message), table) == message


@given(st.binary(max_size=64), st.sampled_from([FROM_CLIENT, FROM_SERVER]))
def test_any_bytes_are_a_message_or_a_protocol_error(payload: bytes, table: Table) -> None:
    try:
        message = unpack(payload, table)
    except ProtocolError:
        return
    assert pack(message) == payload


def test_messages_are_equal_by_their_fields_however_they_were_given() -> None:
    by_name = messages.Get(path="/a", id=1)
    assert by_name == messages.Get(1, "/a")
    assert hash(by_name) == hash(messages.Get(1, "/a"))
    assert by_name != messages.PropGet(1, "/a")
    assert str(messages.Get(1, "/a")) == "Get(id=1, path='/a')"


def test_a_message_has_all_its_fields_and_keeps_them() -> None:
    for wrong in ((), (1,), (1, "/a", 2)):
        with pytest.raises(TypeError, match="Get takes"):
            messages.Get(*wrong)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="can't be changed"):
        messages.Get(1, "/a").id = 2  # type: ignore[misc]
