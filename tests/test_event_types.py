"""The numbers of events at /notify, which clients depend on."""

from chalicelib.notifications.event_types import EventType


def test_numbers_of_events() -> None:
    numbers = [*range(1100, 1113), *range(1120, 1123), 1130, 1131, 1200, 1300, 1301, 1400, 1500]
    assert [(one.name, int(one)) for one in EventType] == list(zip(EventType.__members__, numbers, strict=True))
