import json

import pytest

from eshet_rules.runner.switches import RuleSwitches


@pytest.fixture
def file(tmp_path):
    return tmp_path / "switches.json"


def test_what_was_switched_is_there_after_a_restart(file, log):
    switches = RuleSwitches(file, log.logger)
    switches.switch(["hall.light", "hall.fan"], on=False)
    switches.switch(["hall.fan"], on=True)
    assert RuleSwitches(file, log.logger).all() == {"hall.light": False, "hall.fan": True}


def test_what_is_forgotten_is_not(file, log):
    switches = RuleSwitches(file, log.logger)
    switches.switch(["hall.light"], on=False)
    switches.switch(["hall.light", "hall.fan"], on=None)
    assert RuleSwitches(file, log.logger).all() == {}


def test_without_a_file_it_is_known_until_the_end(log):
    switches = RuleSwitches(None, log.logger)
    switches.switch(["hall.light"], on=False)
    assert switches.all() == {"hall.light": False}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"3"])
def test_a_file_that_makes_no_sense_is_told_and_counts_as_none(file, log, content):
    file.write_bytes(content)
    assert RuleSwitches(file, log.logger).all() == {}
    assert log.find("overrides.unreadable")["file"] == str(file)


def test_what_makes_no_sense_in_it_is_left_out(file, log):
    file.write_text(json.dumps({"hall.light": False, "hall.fan": "off"}))
    assert RuleSwitches(file, log.logger).all() == {"hall.light": False}


def test_a_file_that_can_not_be_written_is_told_and_the_switch_holds_till_the_end(tmp_path, log):
    (tmp_path / "file").touch()
    switches = RuleSwitches(tmp_path / "file" / "switches.json", log.logger)
    switches.switch(["hall.light"], on=False)
    assert switches.all() == {"hall.light": False}
    assert "File exists" in log.find("overrides.not_written")["error"]
