"""Who an account's holder is at WeChat (openid): known for a session, from when its page has asked WeChat."""

import hashlib

from chalicelib import clock
from chalicelib.adapters.mysql import Tx

STATE_LIFETIME = 10 * 60 * clock.SECOND  # a code of WeChat's lives five minutes


def insert_state(tx: Tx, tenant_id: int, token_hash: bytes, app_id: str, state: str) -> None:
    """Note that a session's page was sent to WeChat, and comes back with this state."""
    tx.execute(
        """
        INSERT INTO wechat_states (state_hash, tenant_id, token_hash, app_id, expires_at)
        VALUES (%(state_hash)s, %(tenant_id)s, %(token_hash)s, %(app_id)s, %(expires_at)s)
        """,
        state_hash=_hash_state(state),
        tenant_id=tenant_id,
        token_hash=token_hash,
        app_id=app_id,
        expires_at=clock.now() + STATE_LIFETIME,
    )


def consume_state(tx: Tx, tenant_id: int, token_hash: bytes, app_id: str, state: str) -> bool:
    """Use a state up; False for one that is not this session's, was used, or is too old."""
    used = tx.execute(
        """
        DELETE FROM wechat_states
        WHERE state_hash = %(state_hash)s AND tenant_id = %(tenant_id)s AND token_hash = %(token_hash)s
          AND app_id = %(app_id)s AND expires_at > %(now)s
        """,
        state_hash=_hash_state(state),
        tenant_id=tenant_id,
        token_hash=token_hash,
        app_id=app_id,
        now=clock.now(),
    )
    return used == 1


def bind(tx: Tx, tenant_id: int, user_id: int, token_hash: bytes, app_id: str, openid: str) -> None:
    """Know a session's holder by an openid. Who used that WeChat with another account before is known by it no more."""
    # One at a time for each hospital: else two accounts could both have it.
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    _unbind_others(tx, tenant_id, user_id, app_id, openid)
    _upsert(tx, tenant_id, user_id, token_hash, app_id, openid)


def _unbind_others(tx: Tx, tenant_id: int, user_id: int, app_id: str, openid: str) -> None:
    tx.execute(
        """
        DELETE FROM wechat_openids
        WHERE tenant_id = %(tenant_id)s AND openid = %(openid)s AND app_id = %(app_id)s AND user_id <> %(user_id)s
        """,
        tenant_id=tenant_id,
        openid=openid.encode(),
        app_id=app_id,
        user_id=user_id,
    )


def _upsert(tx: Tx, tenant_id: int, user_id: int, token_hash: bytes, app_id: str, openid: str) -> None:
    tx.execute(
        """
        INSERT INTO wechat_openids (token_hash, tenant_id, user_id, app_id, openid, bound_at)
        VALUES (%(token_hash)s, %(tenant_id)s, %(user_id)s, %(app_id)s, %(openid)s, %(now)s)
        ON DUPLICATE KEY UPDATE app_id = %(app_id)s, openid = %(openid)s, bound_at = %(now)s
        """,
        token_hash=token_hash,
        tenant_id=tenant_id,
        user_id=user_id,
        app_id=app_id,
        openid=openid.encode(),
        now=clock.now(),
    )


def find_for_session(tx: Tx, tenant_id: int, token_hash: bytes, app_id: str) -> str:
    """Return the openid that is bound to a session, "" where there is none."""
    found: bytes | None = tx.fetch_value(
        """
        SELECT openid FROM wechat_openids
        WHERE token_hash = %(token_hash)s AND tenant_id = %(tenant_id)s AND app_id = %(app_id)s
        """,
        token_hash=token_hash,
        tenant_id=tenant_id,
        app_id=app_id,
    )
    return found.decode() if found else ""


def find_for_account(tx: Tx, tenant_id: int, user_id: int, app_id: str) -> str:
    """Return the openid that was last bound to a session of the account that is still open, "" where there is none."""
    found: bytes | None = tx.fetch_value(
        """
        SELECT o.openid FROM wechat_openids o JOIN tokens t ON t.token_hash = o.token_hash
        WHERE o.tenant_id = %(tenant_id)s AND o.user_id = %(user_id)s AND o.app_id = %(app_id)s
          AND t.revoked_at IS NULL AND t.expires_at > %(now)s
        ORDER BY o.bound_at DESC LIMIT 1
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        app_id=app_id,
        now=clock.now(),
    )
    return found.decode() if found else ""


def _hash_state(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
