"""The application's clock, where no other test depends on it."""

from chalicelib import clock


def test_sleep_lasts_the_given_time() -> None:
    started_at = clock.monotonic()
    clock.sleep(0.02)
    assert clock.monotonic() - started_at >= 0.02
