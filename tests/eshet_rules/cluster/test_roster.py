import pytest

from eshet.nats.entry import Entry
from tests.support.rosters import FedRoster


@pytest.fixture
def fed():
    return FedRoster()


def test_a_runner_is_a_candidate_when_its_modules_are_known(fed):
    first = fed.roster.assignment.first
    fed.join("attic")
    assert first == {}
    fed.announce("attic", fed.roster.runners["attic"].number, {"hall": "1"})
    assert first == {"hall": "attic"}
    fed.end("attic")
    assert first == {}


def test_modules_of_an_earlier_presence_do_not_count(fed):
    fed.join("attic", ["hall"])
    fed.end("attic")
    before = fed.roster.runners.get("attic")
    assert before is None
    fed.announce("attic", 1, {"hall": "1"})
    fed.join("attic", [])
    assert fed.roster.assignment.first == {}


def test_a_draining_runner_is_present_but_no_candidate(fed):
    number = fed.join("attic", ["hall"]).number
    fed.join("attic", ["hall"], number=number, is_draining=True)
    assert fed.roster.assignment.first == {}
    assert fed.roster.runners["attic"].number == number
    fed.join("attic", ["hall"], number=number)
    assert fed.roster.assignment.first == {"hall": "attic"}


def test_a_usual_sign_of_life_changes_nothing_but_when_it_was_heard(fed):
    number = fed.join("attic", ["hall"]).number
    fed.join("attic", ["hall"], number=number)
    changes, settled = fed.roster.changes, fed.roster.settled_at
    fed.now += 5
    fed.join("attic", ["hall"], number=number)
    known = fed.roster.runners["attic"]
    assert (known.heard, known.number) == (fed.now, number)
    assert fed.roster.settled_at == settled
    assert fed.roster.changes <= changes + 1  # of the announcement


def test_only_a_new_candidate_unsettles(fed):
    fed.join("attic", ["hall"])
    fed.now += 5
    fed.join("cellar", ["hall"])
    assert fed.roster.settled_at == fed.now
    fed.now += 5
    fed.end("cellar")
    assert fed.roster.settled_at == fed.now - 5


def test_a_runner_is_silent_after_its_time_to_live(fed):
    known = fed.join("attic")
    assert not known.is_silent(fed.now + 12)
    assert known.is_silent(fed.now + 12.1)


def test_a_runner_is_serverless_as_soon_as_its_server_is_gone(fed):
    known = fed.join("attic", server="s1")
    assert not known.is_serverless(["s1", "s2"], fed.now)
    assert known.is_serverless(["s2"], fed.now)


def test_a_server_that_was_never_seen_may_still_arrive(fed):
    known = fed.join("attic", server="s1")
    assert not known.is_serverless([], fed.now)
    assert not known.is_serverless([], fed.now + 2)
    assert known.is_serverless([], fed.now + 2.1)
    known.forget_server()
    assert not known.is_serverless([], fed.now + 2.1)


def test_a_runner_with_another_server_is_not_serverless(fed):
    known = fed.join("attic", server="s1")
    assert not known.is_serverless(["s1"], fed.now)
    fed.join("attic", number=known.number, server="s2")
    assert not known.is_serverless([], fed.now)


def test_a_lease_is_held_as_long_as_its_holder_is_present(fed):
    fed.join("attic", ["hall"])
    fed.lease("hall", "attic")
    role = fed.roster.role_of("hall")
    lease = fed.roster.lease_of(role).lease
    assert fed.roster.is_held(lease)
    fed.end("attic")
    assert not fed.roster.is_held(lease)
    fed.join("attic", ["hall"])
    assert not fed.roster.is_held(lease)
    fed.lease("hall", "attic", released=True)
    assert not fed.roster.is_held(fed.roster.lease_of(role).lease)


def test_the_token_of_a_lease_is_the_revision_of_its_first_entry(fed):
    fed.lease("hall", "attic")
    role = fed.roster.role_of("hall")
    assert fed.roster.lease_of(role).token == fed.roster.revision_of(role) == 1


def test_the_last_sign_of_life_of_a_holder_that_is_gone_is_known(fed):
    fed.join("attic", ["hall"])
    fed.lease("hall", "attic")
    lease = fed.roster.lease_of(fed.roster.role_of("hall")).lease
    assert fed.roster.last_sign_of(lease) is None
    then = fed.now
    fed.now += 5
    fed.end("attic")
    assert fed.roster.last_sign_of(lease) == then


def test_a_deleted_lease_is_free_but_its_revision_is_known(fed):
    fed.lease("hall", "attic")
    role = fed.roster.role_of("hall")
    fed.roster.on_lease_entry(Entry(role, b"", 9, True, 0.0))
    assert fed.roster.lease_of(role) is None
    assert fed.roster.revision_of(role) == 9
    assert fed.roster.revision_of("house.other") == 0


def test_entries_of_other_clusters_and_damaged_ones_are_ignored(fed):
    fed.roster.on_runner_entry(Entry("flat.attic.presence", b"?", 1, False, 0.0))
    fed.roster.on_runner_entry(Entry("house.attic.presence", b"?", 1, False, 0.0))
    fed.roster.on_runner_entry(Entry("house.attic.modules", b"?", 1, False, 0.0))
    fed.roster.on_lease_entry(Entry("flat.hall", b"?", 1, False, 0.0))
    fed.roster.on_lease_entry(Entry("house.hall", b"?", 7, False, 0.0))
    assert fed.roster.runners == {}
    assert fed.roster.lease_of("house.hall") is None
    assert fed.roster.revision_of("house.hall") == 7


def test_runners_with_the_same_modules_share_their_memory(fed):
    fed.join("attic", ["hall", "bath"])
    fed.join("cellar", ["hall", "bath"])
    runners = fed.roster.runners
    assert runners["attic"].modules is runners["cellar"].modules


def test_after_a_reset_everything_is_received_again(fed):
    fed.join("attic", ["hall"])
    fed.lease("hall", "attic")
    fed.roster.reset_runners()
    fed.roster.reset_leases()
    assert fed.roster.runners == {}
    assert fed.roster.assignment.first == {}
    assert fed.roster.revision_of(fed.roster.role_of("hall")) == 0
