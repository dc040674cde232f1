"""How many connections there may be."""

from eshet.gateway.connections import Connections
from eshet.gateway.limits import HttpLimits


class Fake:
    def __init__(self, host: str) -> None:
        self.host = host
        self.evicted = False

    def evict(self) -> None:
        self.evicted = True


def opened(connections: Connections, host: str) -> Fake:
    assert connections.admits(host)
    fake = Fake(host)
    connections.add(fake)
    return fake


def test_the_longest_idle_one_makes_room() -> None:
    connections = Connections(HttpLimits(connections=3, per_peer=3))
    first, second, third = (opened(connections, name) for name in "abc")
    connections.set_busy(first)
    opened(connections, "d")
    assert [first.evicted, second.evicted, third.evicted] == [False, True, False]
    connections.set_busy(third)
    connections.set_idle(third)
    assert len(connections) == 3


def test_a_peer_makes_room_for_itself() -> None:
    connections = Connections(HttpLimits(connections=10, per_peer=2))
    other = opened(connections, "b")
    first, second = opened(connections, "a"), opened(connections, "a")
    third = opened(connections, "a")
    assert [other.evicted, first.evicted, second.evicted] == [False, True, False]
    for each in (second, third):
        connections.set_busy(each)
    assert not connections.admits("a")
    assert connections.admits("b")
    connections.set_idle(third)
    assert connections.admits("a")


def test_without_an_idle_one_there_is_no_room() -> None:
    connections = Connections(HttpLimits(connections=1))
    connections.set_busy(only := opened(connections, "a"))
    assert not connections.admits("b")
    connections.remove(only)
    connections.remove(only)
    connections.set_idle(only)
    assert connections.admits("b")
    assert len(connections) == 0
