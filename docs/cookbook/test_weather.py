from eshet import Unknown


async def test_it_is_polled_and_unknown_during_an_outage(house, tmp_path):
    page = tmp_path / "forecast.json"
    page.write_text('{"current": {"temperature_2m": 7.5}}')
    await house.load("weather.py", url=page.as_uri())
    for content in ('{"current": {}}', "oops", '{"current": {"temperature_2m": 9}}'):
        await house.advance(300)
        page.write_text(content)
        await house.advance(300)
    page.unlink()
    await house.advance(600)
    shown = [value for _, value in house.history("/weather/temperature")]
    assert shown == [7.5, Unknown, 9, Unknown]
