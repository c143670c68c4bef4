"""Copies of single rows: believed only from the server that made them, and never over a tombstone."""

import uuid

import pytest

from chalicelib.adapters import cache, redis


@pytest.fixture
def key() -> str:
    return f"test:{{{uuid.uuid4()}}}"


def server_id() -> str:
    return str(redis.get_client().info("server")["run_id"])


def test_a_copy_reads_as_it_was_written(key: str) -> None:
    cache.write(key, '["林小雨", 1]')
    assert cache.read(key) == '["林小雨", 1]'


def test_what_was_never_copied_is_not_there(key: str) -> None:
    assert cache.read(key) is None


def test_a_copy_lives_a_minute(key: str) -> None:
    cache.write(key, "x")
    assert 0 < redis.get_client().ttl(key) <= 60


def test_a_second_copy_does_not_replace_the_first(key: str) -> None:
    cache.write(key, "first")
    cache.write(key, "second")
    assert cache.read(key) == "first"


def test_a_tombstone_covers_a_copy_and_outlives_any(key: str) -> None:
    cache.write(key, "alive")
    cache.write_tombstone(key)
    assert cache.read(key) == cache.TOMBSTONE
    assert redis.get_client().ttl(key) > 60


def test_no_copy_covers_a_tombstone(key: str) -> None:
    cache.write_tombstone(key)
    cache.write(key, "read before the burial")
    assert cache.read(key) == cache.TOMBSTONE


def test_a_copy_that_another_server_made_is_not_believed(key: str) -> None:
    redis.get_client().set(key, f"{'0' * 40}alive")
    assert cache.read(key) is None
    redis.get_client().set(key, f"{server_id()}alive")
    assert cache.read(key) == "alive"


def test_a_copy_that_names_no_server_is_not_believed(key: str) -> None:
    redis.get_client().set(key, "alive")
    assert cache.read(key) is None


def test_several_copies_are_read_in_one_round_trip(key: str) -> None:
    cache.write(key, "here")
    assert redis.run_scripts([cache.build_read_call(key), cache.build_read_call(f"test:{{{uuid.uuid4()}}}")]) == [
        "here",
        None,
    ]
