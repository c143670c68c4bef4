"""A hospital's official account as its admin sets it up. The secret is sealed, and never shown again."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.people import tenants
from chalicelib.wechat.models import MASK_PREFIX, Conf, ConfSaved, MenuUrls
from chalicelib.wechat_account import account
from chalicelib.wechat_account.account import BOOK_PATH, CHAT_PATH, PERSONAL_PATH

VISIBLE_SECRET_CHARS = 4  # of a secret's characters, the last ones, where it has LONG or more
MIN_LENGTH_TO_SHOW = 16


def get(caller: Caller) -> Conf:
    found = account.find(caller.tenant_id)
    if found is None:
        return Conf(app_id="", app_secret="", auth_url="")
    return Conf(app_id=found.app_id, app_secret=mask_secret(found.secret), auth_url=found.auth_url)


def save(caller: Caller, saved: ConfSaved) -> None:
    """A secret that comes back as it was shown stays. ApiError 400 where there is none, 409 for another's domain."""
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _save(tx, caller, saved))


def get_menu_urls(caller: Caller) -> MenuUrls:
    """Return where the menu of the account leads to; "" where it is not set up."""
    row = account.find_row(mysql.autocommit, caller.tenant_id)
    book, personal, chat = (
        account.build_base_url(row["auth_url"]) + path if row else "" for path in (BOOK_PATH, PERSONAL_PATH, CHAT_PATH)
    )
    return MenuUrls(book_url=book, personal_center_url=personal, chat_url=chat)


def mask_secret(secret: str) -> str:
    """Return ********cdef."""
    return f"{MASK_PREFIX * 2}{secret[-VISIBLE_SECRET_CHARS:] if len(secret) >= MIN_LENGTH_TO_SHOW else ''}"


def _save(tx: Tx, caller: Caller, saved: ConfSaved) -> None:
    before = account.find_row(tx, caller.tenant_id, to_change=True)
    if tenants.find_by_host(tx, account.parse_host(saved.auth_url)) not in (None, caller.tenant_id):
        raise ApiError(errors.CONFLICT, "auth_url：该域名属于其他租户")
    if not saved.app_secret.startswith(MASK_PREFIX):
        sealed = field_encryption.encrypt(caller.tenant_id, account.TABLE, caller.tenant_id, saved.app_secret)
    elif before:
        sealed = before["secret_sealed"]
    else:
        raise ApiError(errors.BAD_PARAMETER, "app_secret：必填")
    account.save(tx, caller.tenant_id, saved.app_id, sealed, saved.auth_url, caller.user_id, clock.now())
