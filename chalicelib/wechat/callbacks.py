"""What WeChat reports about a hospital's official account: whether messages arrived, and what users did.

A call takes effect only if its signature is valid and it is recent, and once: WeChat repeats a call that was not
answered within five seconds. With an EncodingAESKey only encrypted calls are accepted: in plain mode WeChat does not
sign the body, so there a signature is good for one content.

Source: https://developers.weixin.qq.com/doc/service/guide/dev/push/
"""

import hashlib
import logging

from chalicelib import clock, errors
from chalicelib.adapters import mysql, wechat_callback
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_callback import InvalidCallbackError, Leaf
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.wechat import callback_events
from chalicelib.wechat.models import CallbackQuery
from chalicelib.wechat_account import account, callback_settings, callback_store
from chalicelib.wechat_account.callback_settings import CallbackSettings

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_AGE_SECONDS = 300  # of the timestamp that WeChat signs; also how far its clock may be ahead
ACKNOWLEDGEMENT = "success"  # WeChat shows users an error for any other text


def confirm_address(tenant_id: int, query: CallbackQuery) -> str:
    """Return the text with which WeChat verifies our address when the admin enters it there.

    Raises:
        ApiError: 404 without settings, 401 for an invalid signature.
    """
    _require_signed(_require_settings(tenant_id), query)
    mysql.run_transaction(lambda tx: callback_settings.mark_verified(tx, tenant_id, clock.now()))
    return query.echostr


def handle(tenant_id: int, query: CallbackQuery, body: bytes) -> str:
    """Apply what WeChat reports and acknowledge it. A repeated call has no further effect.

    Raises:
        ApiError: 404 without settings, 401 for an invalid signature, 413 for a large body, 400 for a malformed one.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(errors.TOO_LARGE)
    settings = _require_settings(tenant_id)
    try:
        leaves = wechat_callback.parse_leaves(_open(tenant_id, settings, query, body))
    except InvalidCallbackError as error:
        logger.warning("wechat callback malformed", extra={"ids": {"tenant_id": tenant_id, "error": str(error)}})
        raise ApiError(errors.BAD_PARAMETER, "请求体：格式不正确") from error
    try:
        woken = mysql.run_transaction(lambda tx: _apply(tx, tenant_id, query, leaves))
    except mysql.DuplicateKeyError as duplicate:
        if duplicate.key != "PRIMARY":  # another content with a signature that was used
            raise ApiError(errors.INVALID_SIGNATURE) from None
        return ACKNOWLEDGEMENT
    callback_events.wake_workers(woken)
    return ACKNOWLEDGEMENT


def _require_settings(tenant_id: int) -> CallbackSettings:
    field_encryption.preload_keys()
    settings = callback_settings.find(tenant_id)
    if settings is None:
        raise ApiError(errors.NOT_FOUND, "微信消息推送尚未配置")
    return settings


def _open(tenant_id: int, settings: CallbackSettings, query: CallbackQuery, body: bytes) -> bytes:
    """Return the content of a call, decrypted.

    Raises:
        ApiError: 401 for an invalid signature.
        InvalidCallbackError: the body is malformed.
    """
    if not settings.encoding_aes_key:
        _require_signed(settings, query)
        return body
    # Before the body is parsed, so that only what WeChat has signed is. It signs both in this mode.
    _require_signed(settings, query)
    encrypted = dict(wechat_callback.parse_leaves(body)).get("Encrypt", "")
    parts = (query.timestamp, query.nonce, encrypted)
    if not encrypted or not wechat_callback.is_signed(query.msg_signature, settings.token, *parts):
        raise ApiError(errors.INVALID_SIGNATURE)
    official_account = account.find_stored(mysql.autocommit, tenant_id)
    app_id = official_account.app_id if official_account else ""
    return wechat_callback.decrypt(settings.encoding_aes_key, encrypted, app_id)


def _require_signed(settings: CallbackSettings, query: CallbackQuery) -> None:
    is_number = query.timestamp.isascii() and query.timestamp.isdigit() and len(query.timestamp) < 16
    age_seconds = clock.now() // clock.SECOND - int(query.timestamp) if is_number else MAX_AGE_SECONDS + 1
    is_signed = wechat_callback.is_signed(query.signature, settings.token, query.timestamp, query.nonce)
    if not is_signed or abs(age_seconds) > MAX_AGE_SECONDS:
        raise ApiError(errors.INVALID_SIGNATURE)


def _apply(tx: Tx, tenant_id: int, query: CallbackQuery, leaves: list[Leaf]) -> bool:
    """Record a call and apply it; return whether it has enqueued a job.

    Raises:
        mysql.DuplicateKeyError: key "PRIMARY" if it was applied before, "nonce" if another content had its signature.
    """
    content_hash = hashlib.sha256(repr(_identify(leaves)).encode("utf-8", "replace")).digest()
    nonce_hash = hashlib.sha256(f"{query.timestamp}:{query.nonce}".encode("utf-8", "replace")).digest()
    callback_store.insert(tx, tenant_id, content_hash, nonce_hash, clock.now())
    callback_settings.mark_verified(tx, tenant_id, clock.now())
    return callback_events.apply(tx, tenant_id, leaves)


def _identify(leaves: list[Leaf]) -> list[Leaf]:
    """Return what is the same when WeChat repeats a call: the MsgId of a user's message, all elements of an event."""
    msg_ids = [leaf for leaf in leaves if leaf[0] == "MsgId"]
    return msg_ids or [(path, text.strip()) for path, text in leaves]
