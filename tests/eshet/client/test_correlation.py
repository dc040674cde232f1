from eshet import codec
from eshet.cause import Cause
from eshet.client.correlation import Correlator

BELL = ("event", b"/bell")


def sent(echoes, value=b"1", place=BELL, now=0.0):
    cause = Cause("timer", "noon")
    echoes.add(place, value, cause, now)
    return cause


def test_what_was_sent_is_found_once_in_order():
    echoes = Correlator(10, 10)
    causes = [sent(echoes) for _ in range(3)]
    after, found = 0, []
    for _ in range(4):
        echo = echoes.find(BELL, b"1", after, 0)
        found.append(echo and echo.cause)
        after = echo.number + 1 if echo else after
    assert found == [*causes, None]


def test_each_who_hears_finds_it_for_itself():
    echoes = Correlator(10, 10)
    cause = sent(echoes)
    assert echoes.find(BELL, b"1", 0, 0).cause is echoes.find(BELL, b"1", 0, 0).cause is cause


def test_what_did_not_come_in_is_passed_over():
    echoes = Correlator(10, 10)
    sent(echoes, codec.pack("lost"))
    cause = sent(echoes, b"1")
    assert echoes.find(BELL, b"1", 0, 0).cause is cause


def test_another_value_or_place_is_no_echo():
    echoes = Correlator(10, 10)
    sent(echoes)
    assert echoes.find(BELL, b"2", 0, 0) is None
    assert echoes.find(("state", b"/bell"), b"1", 0, 0) is None


def test_what_was_sent_long_ago_has_no_echo():
    echoes = Correlator(10, 10)
    cause = sent(echoes, now=5)
    assert echoes.find(BELL, b"1", 0, 15).cause is cause
    assert echoes.find(BELL, b"1", 0, 15.1) is None


def test_what_is_void_has_no_echo():
    echoes = Correlator(10, 10)
    echoes.add(BELL, b"1", Cause("timer", "noon"), 0).void()
    assert echoes.find(BELL, b"1", 0, 0) is None


def test_it_forgets_what_was_sent_first():
    echoes = Correlator(3, 10)
    causes = [sent(echoes, b"%d" % number) for number in range(5)]
    found = [echoes.find(BELL, b"%d" % number, 0, 0) for number in range(5)]
    assert [each and each.cause for each in found] == [None, None, *causes[2:]]


def test_a_place_of_which_all_was_forgotten_costs_nothing():
    echoes = Correlator(3, 10)
    for number in range(1000):
        sent(echoes, place=("event", b"/%d" % number))
    assert len(echoes._sent) == len(echoes._places) == 3


def test_numbers_of_a_place_go_on_after_it_was_forgotten():
    echoes = Correlator(2, 10)
    sent(echoes)
    end = echoes.next_number
    for _ in range(2):
        sent(echoes, place=("event", b"/door"))
    again = sent(echoes)
    assert echoes.find(BELL, b"1", end, 0).cause is again


def test_numbers_are_equal_as_integers_and_as_decimals():
    echoes = Correlator(10, 10)
    cause = sent(echoes, codec.pack(21))
    for value in (21, 21.0, True, "21", 21.5):
        echo = echoes.find(BELL, codec.pack(value), 0, 0)
        assert (echo is not None and echo.cause is cause) == (value == 21)
