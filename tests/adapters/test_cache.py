"""The row cache: entries are valid only on the server that stored them, and never replace a tombstone."""

import uuid

import pytest

from chalicelib.adapters import cache, redis


@pytest.fixture
def key() -> str:
    return f"test:{{{uuid.uuid4()}}}"


def get_server_id() -> str:
    return str(redis.get_client().info("server")["run_id"])


def test_entry_is_read_as_written(key: str) -> None:
    cache.write(key, '["林小雨", 1]')
    assert cache.read(key) == '["林小雨", 1]'


def test_missing_entry_is_none(key: str) -> None:
    assert cache.read(key) is None


def test_entry_expires_after_a_minute(key: str) -> None:
    cache.write(key, "x")
    assert 0 < redis.get_client().ttl(key) <= 60


def test_second_entry_does_not_replace_the_first(key: str) -> None:
    cache.write(key, "first")
    cache.write(key, "second")
    assert cache.read(key) == "first"


def test_tombstone_replaces_an_entry_and_lives_longer(key: str) -> None:
    cache.write(key, "alive")
    cache.write_tombstone(key)
    assert cache.read(key) == cache.TOMBSTONE
    assert redis.get_client().ttl(key) > 60


def test_entry_does_not_replace_a_tombstone(key: str) -> None:
    cache.write_tombstone(key)
    cache.write(key, "read before the tombstone")
    assert cache.read(key) == cache.TOMBSTONE


def test_entry_of_another_server_is_ignored(key: str) -> None:
    redis.get_client().set(key, f"{'0' * 40}alive")
    assert cache.read(key) is None
    redis.get_client().set(key, f"{get_server_id()}alive")
    assert cache.read(key) == "alive"


def test_entry_without_server_is_ignored(key: str) -> None:
    redis.get_client().set(key, "alive")
    assert cache.read(key) is None


def test_several_entries_are_read_in_one_round_trip(key: str) -> None:
    cache.write(key, "here")
    assert redis.run_scripts([cache.build_read_call(key), cache.build_read_call(f"test:{{{uuid.uuid4()}}}")]) == [
        "here",
        None,
    ]
