"""The openids by which WeChat knows users: bound to a session when its page returns from WeChat's authorization."""

import hashlib

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.identity.tokens import VALID_TOKENS_SQL
from chalicelib.people.roles import Role

STATE_LIFETIME = 10 * 60 * clock.SECOND  # WeChat's codes are valid for five minutes


def insert_state(tx: Tx, tenant_id: int, token_hash: bytes, app_id: str, state: str) -> None:
    """Store the state with which a session's page is sent to WeChat. Only its hash is stored."""
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
    """Delete a state; return False if it is not this session's, was used, or has expired."""
    deleted = tx.execute(
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
    return deleted == 1


def bind(tx: Tx, tenant_id: int, user_id: int, token_hash: bytes, app_id: str, openid: str, *, key_id: int = 0) -> None:
    """Bind an openid to a session and unbind it from the sessions of other users.

    Args:
        key_id: the internal key that has begun the session, 0 after a sign-in.
    """
    # The lock serialises bindings of a hospital: otherwise two users could both keep the openid.
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    _unbind_others(tx, tenant_id, user_id, app_id, openid)
    _upsert(tx, tenant_id, user_id, token_hash, app_id, openid, key_id)


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


def _upsert(tx: Tx, tenant_id: int, user_id: int, token_hash: bytes, app_id: str, openid: str, key_id: int) -> None:
    tx.execute(
        """
        INSERT INTO wechat_openids (token_hash, tenant_id, user_id, app_id, openid, key_id, bound_at)
        VALUES (%(token_hash)s, %(tenant_id)s, %(user_id)s, %(app_id)s, %(openid)s, %(key_id)s, %(now)s)
        ON DUPLICATE KEY UPDATE app_id = %(app_id)s, openid = %(openid)s, bound_at = %(now)s
        """,
        token_hash=token_hash,
        tenant_id=tenant_id,
        user_id=user_id,
        app_id=app_id,
        openid=openid.encode(),
        key_id=key_id or None,
        now=clock.now(),
    )


def was_bound_before(tx: Tx, tenant_id: int, user_id: int, app_id: str, openid: str, before: int) -> bool:
    """Return whether an openid was bound to a session of a user before an instant.

    One that an internal key has begun does not count: it proves nothing about its user.
    """
    found = tx.fetch_value(
        """
        SELECT 1 FROM wechat_openids
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND app_id = %(app_id)s AND openid = %(openid)s
          AND bound_at < %(before)s AND key_id IS NULL LIMIT 1
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        app_id=app_id,
        openid=openid.encode(),
        before=before,
    )
    return found is not None


def unbind_all(tx: Tx, tenant_id: int, user_id: int) -> None:
    """Delete the openids of a user, whose account is closed."""
    tx.execute(
        "DELETE FROM wechat_openids WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s",
        tenant_id=tenant_id,
        user_id=user_id,
    )


def find_for_session(tx: Tx, tenant_id: int, token_hash: bytes, app_id: str) -> str:
    """Return the openid that is bound to a session, "" if none is."""
    openid: bytes | None = tx.fetch_value(
        """
        SELECT openid FROM wechat_openids
        WHERE token_hash = %(token_hash)s AND tenant_id = %(tenant_id)s AND app_id = %(app_id)s
        """,
        token_hash=token_hash,
        tenant_id=tenant_id,
        app_id=app_id,
    )
    return openid.decode() if openid else ""


def find_for_account(tx: Tx, tenant_id: int, user_id: int, app_id: str) -> str:
    """Return the openid bound most recently to a valid session of a user, "" if none is."""
    openid: bytes | None = tx.fetch_value(
        f"""
        SELECT o.openid FROM wechat_openids o
        WHERE o.tenant_id = %(tenant_id)s AND o.user_id = %(user_id)s AND o.app_id = %(app_id)s
          AND EXISTS (SELECT 1 FROM {VALID_TOKENS_SQL} AND t.token_hash = o.token_hash)
        ORDER BY o.bound_at DESC LIMIT 1
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        app_id=app_id,
        now=clock.now(),
        admin=Role.ADMIN,
    )
    return openid.decode() if openid else ""


def has_unfollowed(tx: Tx, tenant_id: int, openid: str) -> bool:
    """Return whether WeChat has reported that a user does not follow the account any more."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM wechat_openids
        WHERE tenant_id = %(tenant_id)s AND openid = %(openid)s AND unfollowed_at IS NOT NULL LIMIT 1
        """,
        tenant_id=tenant_id,
        openid=openid.encode(),
    )
    return found is not None


def set_unfollowed(tx: Tx, tenant_id: int, app_id: str, openid: str, at: int | None) -> None:
    """Record that a user does not follow the account any more, or does again: at None."""
    tx.execute(
        """
        UPDATE wechat_openids SET unfollowed_at = %(at)s
        WHERE tenant_id = %(tenant_id)s AND openid = %(openid)s AND app_id = %(app_id)s
        """,
        tenant_id=tenant_id,
        app_id=app_id,
        openid=openid.encode(),
        at=at,
    )


def _hash_state(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
