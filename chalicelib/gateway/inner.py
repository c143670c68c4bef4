"""What a hospital's own systems may ask of the gateway, by internal key."""

import re

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.gateway.models import TokenRequest
from chalicelib.identity import tokens
from chalicelib.identity.callers import SESSION, Caller
from chalicelib.people import persons

PERSON = re.compile("(?:user:)?(0|[1-9][0-9]*)")  # 0012 is somebody else's number, not our 12


def get_token(caller: Caller, wanted: TokenRequest) -> str:
    """Return a token. Refused 404 for a person that the key's tenant does not have."""
    person = PERSON.fullmatch(wanted.session)
    if person is None:
        return tokens.issue(caller.tenant_id, f"session:{wanted.session}", SESSION, wanted.platform)
    user_id = int(person[1])
    kind = mysql.autocommit(lambda tx: persons.caller_kind(tx, caller.tenant_id, user_id))
    if kind is None:
        raise Refused(errors.NOT_FOUND, "用户不存在")
    return tokens.issue(caller.tenant_id, f"user:{user_id}", kind, wanted.platform)
