"""The official account as a hospital's admin configures it. Its secret is stored encrypted and shown masked."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.people import tenants
from chalicelib.wechat.models import MASK_PREFIX, Conf, MenuUrls, SaveConfRequest
from chalicelib.wechat_account import account
from chalicelib.wechat_account.account import BOOK_PATH, CHAT_PATH, PERSONAL_PATH

VISIBLE_SECRET_CHARS = 4  # the last characters of a secret, shown if it has at least MIN_LENGTH_TO_SHOW
MIN_LENGTH_TO_SHOW = 16


def get(caller: Caller) -> Conf:
    """Return the hospital's account with its secret masked; all fields are "" if it is not set up."""
    official_account = account.find(caller.tenant_id)
    if official_account is None:
        return Conf(app_id="", app_secret="", auth_url="")
    return Conf(
        app_id=official_account.app_id,
        app_secret=mask_secret(official_account.secret),
        auth_url=official_account.auth_url,
    )


def save(caller: Caller, settings: SaveConfRequest) -> None:
    """Save the hospital's account. A masked secret, as `get` returns it, means the stored one.

    Raises:
        ApiError: 400 for a masked secret if none is stored, 409 if the domain belongs to another hospital.
    """
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _save(tx, caller, settings))


def get_menu_urls(caller: Caller) -> MenuUrls:
    """Return the addresses for the account's menu; all are "" if it is not set up."""
    stored = account.find_stored(mysql.autocommit, caller.tenant_id)
    if stored is None:
        return MenuUrls(book_url="", personal_center_url="", chat_url="")
    base_url = account.build_base_url(stored.auth_url)
    return MenuUrls(
        book_url=base_url + BOOK_PATH, personal_center_url=base_url + PERSONAL_PATH, chat_url=base_url + CHAT_PATH
    )


def mask_secret(secret: str) -> str:
    """Return ********cdef, or only the mask for a short secret."""
    return f"{MASK_PREFIX * 2}{secret[-VISIBLE_SECRET_CHARS:] if len(secret) >= MIN_LENGTH_TO_SHOW else ''}"


def _save(tx: Tx, caller: Caller, settings: SaveConfRequest) -> None:
    stored = account.find_stored(tx, caller.tenant_id, for_update=True)
    if tenants.find_by_host(tx, account.parse_host(settings.auth_url)) not in (None, caller.tenant_id):
        raise ApiError(errors.CONFLICT, "auth_url：该域名属于其他租户")
    if not settings.app_secret.startswith(MASK_PREFIX):
        sealed = field_encryption.encrypt(caller.tenant_id, account.TABLE, caller.tenant_id, settings.app_secret)
    elif stored:
        sealed = stored.secret_sealed
    else:
        raise ApiError(errors.BAD_PARAMETER, "app_secret：必填")
    account.save(tx, caller.tenant_id, settings.app_id, sealed, settings.auth_url, caller.user_id, clock.now())
