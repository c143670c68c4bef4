from functools import partial
from typing import Any

import pytest

from app import sweep_identity
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import attempts, cleanup, tokens
from chalicelib.settings import settings
from chalicelib.wechat_account import openids
from tests.files.test_sweep import said
from tests.support.factories import Person


def counted(table: str, tenant_id: int) -> int:
    sql = f"SELECT COUNT(*) FROM {table} WHERE tenant_id = %(tenant_id)s"
    return int(mysql.autocommit.fetch_value(sql, tenant_id=tenant_id))


def died(tenant_id: int, ago: int) -> None:
    """All the tenant's tokens and tries ended so long ago."""
    then: dict[str, Any] = {"then": clock.now() - ago, "tenant_id": tenant_id}
    for column, table in (("expires_at", "tokens"), ("last_failed_at", "attempts")):
        sql = f"UPDATE {table} SET {column} = %(then)s WHERE tenant_id = %(tenant_id)s"
        mysql.run_autocommit(partial(Tx.execute, sql=sql, **then))


def test_what_died_a_day_ago_goes(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 2)
    for number in range(5):
        tokens.issue(lin.tenant_id, lin.principal, "patient")
        attempts.consume_try(lin.tenant_id, f"test:{number}")
    died(lin.tenant_id, cleanup.RETENTION + clock.SECOND)
    sweep_identity(said(), None)
    assert (counted("tokens", lin.tenant_id), counted("attempts", lin.tenant_id)) == (0, 0)


def test_what_died_today_and_what_lives_stays(lin: Person) -> None:
    attempts.consume_try(lin.tenant_id, "test")
    assert tokens.find_session(lin.token)
    before = counted("tokens", lin.tenant_id)
    sweep_identity(said(), None)
    assert tokens.find_session(lin.token)
    died(lin.tenant_id, cleanup.RETENTION - 60 * clock.SECOND)
    sweep_identity(said(), None)
    assert (counted("tokens", lin.tenant_id), counted("attempts", lin.tenant_id)) == (before, 1)


def test_who_was_known_at_wechat_in_a_session_that_is_long_over_goes(lin: Person) -> None:
    def kept() -> tuple[int, int]:
        return counted("wechat_openids", lin.tenant_id), counted("wechat_states", lin.tenant_id)

    def known(tx: Tx) -> None:
        openids.insert_state(tx, lin.tenant_id, token, "wx0123456789abcdef", "state")
        openids.bind(tx, lin.tenant_id, lin.user_id, token, "wx0123456789abcdef", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")

    token = tokens.hash_token(lin.token)
    mysql.run_transaction(known)
    sweep_identity(said(), None)
    assert kept() == (1, 1)
    over = {"wechat_states.expires_at": 0, "wechat_openids.bound_at": settings.token_days * clock.DAY}
    for column, life in over.items():
        then: dict[str, Any] = {
            "then": clock.now() - life - cleanup.RETENTION - clock.SECOND,
            "tenant_id": lin.tenant_id,
        }
        sql = f"UPDATE {column.partition('.')[0]} SET {column} = %(then)s WHERE tenant_id = %(tenant_id)s"
        mysql.run_autocommit(partial(Tx.execute, sql=sql, **then))
    sweep_identity(said(), None)
    assert kept() == (0, 0)
