"""Internal keys: two valid ones per tenant, stored as hashes."""

import hashlib
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.identity import internal_keys
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital
from tests.support.threads import run_in_threads


def request_token(key: str) -> ApiResponse:
    return post("/inner/get_token", headers={"X-Internal-Key": key}, session="visitor")


def test_key_authenticates_its_tenant(hospital: Hospital) -> None:
    assert internal_keys.authenticate(hospital.internal_key).tenant_id == hospital.tenant_id
    assert request_token(hospital.internal_key).status == 200


def test_third_key_revokes_the_oldest(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    first, now = hospital.internal_key, clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + clock.SECOND)
    second = internal_keys.issue(hospital.tenant_id)
    assert [request_token(key).status for key in (first, second)] == [200, 200]
    monkeypatch.setattr(clock, "now", lambda: now + 2 * clock.SECOND)
    third = internal_keys.issue(hospital.tenant_id)
    assert [request_token(key).status for key in (first, second, third)] == [401, 200, 200]


def test_new_keys_of_another_tenant_revoke_none_of_ours(hospital: Hospital, other_hospital: Hospital) -> None:
    ours, theirs = hospital.internal_key, other_hospital.internal_key
    for _ in range(3):
        internal_keys.issue(other_hospital.tenant_id)
    assert request_token(ours).status == 200
    assert request_token(theirs).status == 401


def test_key_can_be_chosen(hospital: Hospital) -> None:
    chosen = f"demo-{hospital.tenant_id}"
    assert internal_keys.issue(hospital.tenant_id, chosen) == chosen
    assert internal_keys.authenticate(chosen).tenant_id == hospital.tenant_id


def test_only_the_hash_is_stored(hospital: Hospital) -> None:
    key = hospital.internal_key
    rows = mysql.autocommit.fetch_all("SELECT * FROM internal_keys WHERE tenant_id = %(id)s", id=hospital.tenant_id)
    assert [row["key_hash"] for row in rows] == [hashlib.sha256(key.encode()).digest()]


@pytest.mark.parametrize("key", ["", " ", "wrong", "密钥", "\ud800", "x" * 512])
def test_wrong_key_is_rejected(key: str) -> None:
    response = request_token(key)
    assert (response.status, response.code) == (401, 10101)


def test_token_is_not_accepted_as_a_key(hospital: Hospital) -> None:
    assert request_token(hospital.admin.token).status == 401
    assert post("/inner/get_token", hospital.admin.token, session="visitor").status == 403
    assert post("/inner/get_token", session="visitor").status == 401


def test_keys_issued_at_the_same_time_leave_two_valid(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    assert internal_keys.authenticate(hospital.internal_key)
    both_have_read, fetch_all = Barrier(2), Tx.fetch_all

    def fetch_and_wait(tx: Tx, sql: str, **params: Any) -> list[Row]:
        rows = fetch_all(tx, sql, **params)
        with suppress(BrokenBarrierError):  # of two that are serialized, the second comes after the first has ended
            both_have_read.wait(0.5)
        return rows

    monkeypatch.setattr(Tx, "fetch_all", fetch_and_wait)
    run_in_threads([lambda: internal_keys.issue(hospital.tenant_id)] * 2)
    count = "SELECT COUNT(*) FROM internal_keys WHERE tenant_id = %(id)s AND revoked_at IS NULL"
    assert mysql.autocommit.fetch_value(count, id=hospital.tenant_id) == 2
