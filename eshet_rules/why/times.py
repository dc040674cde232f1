"""Times in explanations, as text."""

from datetime import datetime, timedelta, tzinfo

__all__ = ["clock_text", "duration", "since_text", "until_text"]


def since_text(stamp: str, now: datetime, zone: tzinfo | None) -> str:
    """Return a time of the past and its age, such as `21:04:11 (12 min ago)`.

    Args:
        stamp: the time, in ISO 8601.
        now: the present.
        zone: of the text; None for the local one.
    """
    moment = datetime.fromisoformat(stamp)
    return f"{clock_text(moment, now, zone)} ({duration(now - moment)} ago)"


def until_text(stamp: str, now: datetime, zone: tzinfo | None) -> str:
    """Return a time of the future, such as `23:04:11 (in 1 h 52 min)`; see `since_text`."""
    moment = datetime.fromisoformat(stamp)
    return f"{clock_text(moment, now, zone)} (in {duration(moment - now)})"


def clock_text(moment: datetime, now: datetime, zone: tzinfo | None) -> str:
    """Return a time, with its date unless that is today; see `since_text`."""
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
