from functools import partial
from typing import Any

import pytest

from app import sweep_identity
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import attempts, cleanup, tokens
from chalicelib.people.roles import Role
from chalicelib.wechat_account import openids
from tests.support.client import build_schedule_event
from tests.support.factories import Person


def count_rows(table: str, tenant_id: int) -> int:
    sql = f"SELECT COUNT(*) FROM {table} WHERE tenant_id = %(tenant_id)s"
    return int(mysql.autocommit.fetch_value(sql, tenant_id=tenant_id))


def expire_all(tenant_id: int, ago: int) -> None:
    """Let all of the tenant's tokens and attempts have ended a time ago."""
    then: dict[str, Any] = {"then": clock.now() - ago, "tenant_id": tenant_id}
    for column, table in (("expires_at", "tokens"), ("last_failed_at", "attempts")):
        sql = f"UPDATE {table} SET {column} = %(then)s WHERE tenant_id = %(tenant_id)s"
        mysql.run_autocommit(partial(Tx.execute, sql=sql, **then))


def test_rows_that_expired_a_day_ago_are_deleted(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 2)
    for number in range(5):
        tokens.issue(lin.tenant_id, lin.principal, Role.PATIENT)
        attempts.consume_try(lin.tenant_id, f"test:{number}")
    expire_all(lin.tenant_id, cleanup.RETENTION + clock.SECOND)
    sweep_identity(build_schedule_event(), None)
    assert (count_rows("tokens", lin.tenant_id), count_rows("attempts", lin.tenant_id)) == (0, 0)


def test_valid_and_recently_expired_rows_remain(lin: Person) -> None:
    attempts.consume_try(lin.tenant_id, "test")
    assert tokens.find_session(lin.token)
    before = count_rows("tokens", lin.tenant_id)
    sweep_identity(build_schedule_event(), None)
    assert tokens.find_session(lin.token)
    expire_all(lin.tenant_id, cleanup.RETENTION - 60 * clock.SECOND)
    sweep_identity(build_schedule_event(), None)
    assert (count_rows("tokens", lin.tenant_id), count_rows("attempts", lin.tenant_id)) == (before, 1)


def test_old_openids_and_expired_states_are_deleted(lin: Person) -> None:
    def count_wechat_rows() -> tuple[int, int]:
        return count_rows("wechat_openids", lin.tenant_id), count_rows("wechat_states", lin.tenant_id)

    def insert(tx: Tx) -> None:
        openids.insert_state(tx, lin.tenant_id, token, "wx0123456789abcdef", "state")
        openids.bind(tx, lin.tenant_id, lin.user_id, token, "wx0123456789abcdef", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")

    token = tokens.hash_token(lin.token)
    mysql.run_transaction(insert)
    sweep_identity(build_schedule_event(), None)
    assert count_wechat_rows() == (1, 1)
    lifetimes = {"wechat_states.expires_at": cleanup.RETENTION, "wechat_openids.bound_at": cleanup.OPENID_RETENTION}
    for column, lifetime in lifetimes.items():
        then: dict[str, Any] = {
            "then": clock.now() - lifetime - clock.SECOND,
            "tenant_id": lin.tenant_id,
        }
        sql = f"UPDATE {column.partition('.')[0]} SET {column} = %(then)s WHERE tenant_id = %(tenant_id)s"
        mysql.run_autocommit(partial(Tx.execute, sql=sql, **then))
    sweep_identity(build_schedule_event(), None)
    assert count_wechat_rows() == (0, 0)
