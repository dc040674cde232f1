"""What becomes of an error in a rule that is set up: it is told once, and all else goes on."""

MODULE = """
    from eshet import yarp
    from eshet_rules import rule

    def inverse(x):
        return 1 / x

    @rule
    async def light():
        lux = await yarp.state_observe("/lux")
        await yarp.state_register("/before", lux + 1)
        await yarp.state_register("/inverse", yarp.fn(inverse)(lux))
        await yarp.state_register("/after", lux + 2)
    """


async def test_an_error_in_a_node_is_told_once_from_the_rule_s_own_line_and_harms_nothing(house):
    lux = await house.viewer.state_register("/lux")
    await lux.changed(4)
    house.write("hall.py", MODULE)
    assert await house.reload()
    house.log.clear()
    await lux.changed(0)
    await house.advance(0)
    [told] = [each for each in house.log.records if each["level"] == "error"]
    assert (told["rule"], told["error"]) == ("hall.light", "ZeroDivisionError: division by zero")
    first, place, line, *_ = told["traceback"].splitlines()
    assert first == "Traceback (most recent call last):"
    assert place.endswith('/hall.py", line 6, in inverse')
    assert line.strip() == "return 1 / x"
    assert [await house.get(path) for path in ("/before", "/inverse", "/after")] == [1, 0.25, 2]
    await lux.changed(2)
    await house.advance(0)
    assert [await house.get(path) for path in ("/before", "/inverse", "/after")] == [3, 0.5, 4]
