"""The callback settings as a hospital's admin enters them here and at WeChat: stored encrypted, shown masked."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql, wechat_callback
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_callback import InvalidCallbackError
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.settings import settings as deployment
from chalicelib.wechat.account_settings import mask_secret
from chalicelib.wechat.models import MASK_PREFIX, CallbackConf, SaveCallbackConfRequest
from chalicelib.wechat_account import callback_settings
from chalicelib.wechat_account.callback_settings import StoredCallbackSettings

CALLBACK_PATH = "/pati_service/wechat/callback"


def get(caller: Caller) -> CallbackConf:
    """Return the settings, masked; token and key are "" if there are none."""
    url = f"{deployment.public_url}{CALLBACK_PATH}/{caller.tenant_id}"
    stored = callback_settings.find(caller.tenant_id)
    if stored is None:
        return CallbackConf(url=url, callback_token="", encoding_aes_key="", verified=False)
    key = mask_secret(stored.encoding_aes_key) if stored.encoding_aes_key else ""
    return CallbackConf(
        url=url, callback_token=mask_secret(stored.token), encoding_aes_key=key, verified=stored.verified_at is not None
    )


def save(caller: Caller, request: SaveCallbackConfRequest) -> None:
    """Save the settings. A masked value, as `get` returns it, means the stored one; an empty token removes all.

    Raises:
        ApiError: 400 for a key that does not stand for 32 bytes, and for a masked value if none is stored.
    """
    key = request.encoding_aes_key
    if key and not key.startswith(MASK_PREFIX):
        try:
            wechat_callback.decode_key(key)
        except InvalidCallbackError:
            raise ApiError(errors.BAD_PARAMETER, "encoding_aes_key：不是微信生成的 EncodingAESKey") from None
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _save(tx, caller, request))


def _save(tx: Tx, caller: Caller, request: SaveCallbackConfRequest) -> None:
    tenant_id = caller.tenant_id
    stored = callback_settings.find_stored(tx, tenant_id, for_update=True)
    if not request.callback_token:
        callback_settings.delete(tx, tenant_id)
        return
    sealed, table = stored.token_sealed if stored else None, callback_settings.TABLE
    token_sealed = _seal(tenant_id, table, request.callback_token, sealed, "callback_token")
    key_sealed = None
    if request.encoding_aes_key:
        sealed, table = stored.key_sealed if stored else None, callback_settings.KEY_TABLE
        key_sealed = _seal(tenant_id, table, request.encoding_aes_key, sealed, "encoding_aes_key")
    if stored and _equals(stored, token_sealed, key_sealed):
        return
    callback_settings.save(tx, tenant_id, token_sealed, key_sealed, caller.user_id, clock.now())


def _equals(stored: StoredCallbackSettings, token_sealed: bytes, key_sealed: bytes | None) -> bool:
    """Return whether nothing changes, so that what WeChat has verified stays so."""
    return (stored.token_sealed, stored.key_sealed) == (token_sealed, key_sealed)


def _seal(tenant_id: int, table: str, text: str, sealed: bytes | None, field: str) -> bytes:
    if not text.startswith(MASK_PREFIX):
        if sealed and field_encryption.decrypt(tenant_id, table, tenant_id, sealed) == text:
            return sealed
        return field_encryption.encrypt(tenant_id, table, tenant_id, text)
    if sealed is None:
        raise ApiError(errors.BAD_PARAMETER, f"{field}：必填")
    return sealed
