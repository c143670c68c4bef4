"""What a hospital's own systems may ask of the gateway, by internal key."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.gateway.models import TokenRequest
from chalicelib.identity import tokens
from chalicelib.identity.callers import SESSION, Caller
from chalicelib.people import persons


def get_token(caller: Caller, wanted: TokenRequest) -> str:
    """Return a token. Refused 404 for a person that the key's tenant does not have."""
    bare = wanted.session.removeprefix("user:")
    if not (bare.isascii() and bare.isdigit()):
        return tokens.issue(caller.tenant_id, f"session:{wanted.session}", SESSION, wanted.platform)
    user_id = int(bare)
    kind = mysql.autocommit(lambda tx: persons.caller_kind(tx, caller.tenant_id, user_id))
    if kind is None:
        raise Refused(errors.NOT_FOUND, "用户不存在")
    return tokens.issue(caller.tenant_id, f"user:{user_id}", kind, wanted.platform)
