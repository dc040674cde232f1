async def test_old_and_new_devices_are_watched(house):
    house.device("/hall/motion/battery", 80, settable=False)
    house.device("/attic/motion/battery", 8, settable=False)
    await house.load("watchdog.py")
    button = house.device("/bath/button/battery", 90, settable=False)
    await house.advance(hours=6)
    await button.report(10)
    await house.advance(hours=12)
    assert house.messages == ["/attic/motion/battery, /bath/button/battery"]


async def test_silent_and_offline_devices_are_listed(house):
    await house.load("watchdog.py")
    _, offline, good = (house.device(f"/{name}/battery", 80) for name in ("silent", "off", "good"))
    await house.advance(hours=12)
    await offline.offline()
    await house.reload("watchdog.py")
    await house.restart(hours=1)
    await house.advance(hours=6)
    await good.report(80)
    await house.advance(hours=23)
    assert house.messages == [
        "/off/battery",
        "/off/battery, /silent/battery",
    ]
