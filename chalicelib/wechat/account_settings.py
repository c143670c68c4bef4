"""A hospital's official account as its admin sets it up. The secret is sealed, and never shown again."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import Refused
from chalicelib.identity.callers import Caller
from chalicelib.people import tenants
from chalicelib.wechat.models import MASK, Conf, ConfSaved, MenuUrls
from chalicelib.wechat_account import account
from chalicelib.wechat_account.account import BOOK, CHAT, PERSONAL

SHOWN = 4  # of a secret's characters, the last ones, where it has LONG or more
LONG = 16


def shown(caller: Caller) -> Conf:
    found = account.find(caller.tenant_id)
    if found is None:
        return Conf(app_id="", app_secret="", auth_url="")
    return Conf(app_id=found.app_id, app_secret=masked(found.secret), auth_url=found.auth_url)


def save(caller: Caller, saved: ConfSaved) -> None:
    """A secret that comes back as it was shown stays. Refused 400 where there is none, 409 for another's domain."""
    field_encryption.ready()
    mysql.transact(lambda tx: _save(tx, caller, saved))


def menu_urls(caller: Caller) -> MenuUrls:
    """Return where the menu of the account leads to; "" where it is not set up."""
    row = mysql.autocommit(lambda tx: account.get(tx, caller.tenant_id))
    book, personal, chat = (account.pages(row["auth_url"]) + path if row else "" for path in (BOOK, PERSONAL, CHAT))
    return MenuUrls(book_url=book, personal_center_url=personal, chat_url=chat)


def masked(secret: str) -> str:
    """Return ********cdef."""
    return f"{MASK * 2}{secret[-SHOWN:] if len(secret) >= LONG else ''}"


def _save(tx: Tx, caller: Caller, saved: ConfSaved) -> None:
    before = account.get(tx, caller.tenant_id, to_change=True)
    if tenants.of_host(tx, account.host(saved.auth_url)) not in (None, caller.tenant_id):
        raise Refused(errors.CONFLICT, "auth_url：该域名属于其他租户")
    if not saved.app_secret.startswith(MASK):
        sealed = field_encryption.seal(caller.tenant_id, account.TABLE, caller.tenant_id, saved.app_secret)
    elif before:
        sealed = before["secret_sealed"]
    else:
        raise Refused(errors.BAD_PARAMETER, "app_secret：必填")
    account.save(tx, caller.tenant_id, saved.app_id, sealed, saved.auth_url, caller.user_id, clock.now())
