from datetime import timedelta

import pytest

from eshet.settings.kinds import SPAN, read_span


def test_a_span_is_a_number_with_a_unit():
    assert read_span("90m") == timedelta(minutes=90)
    assert read_span("1.5 h") == timedelta(hours=1.5)


@pytest.mark.parametrize("wrong", ["", "24", "h", "-1h", "1 week", "\u0661h"])
def test_another_text_is_no_span(wrong):
    with pytest.raises(ValueError):
        read_span(wrong)


@pytest.mark.parametrize(("value", "read"), [("24h", "24h"), ("15m", "15m"), ("", ""), (False, "")])
def test_a_setting_that_is_a_span_may_be_off(value, read):
    assert SPAN.read(value) == read


@pytest.mark.parametrize("value", [24, True, "0h", "400d", "9" * 400 + "d", "yesterday", None])
def test_other_settings_are_no_spans(value):
    with pytest.raises(ValueError):
        SPAN.read(value)
