"""How staff sign in."""

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import BAD_CREDENTIALS, ApiError
from chalicelib.identity import attempts, passwords, tokens
from chalicelib.identity.callers import Caller
from chalicelib.people import staff
from chalicelib.people.roles import PersonKind
from chalicelib.staff.models import SignedInStaff, StaffSignIn


def authenticate(caller: Caller, given: StaffSignIn) -> SignedInStaff:
    """Return a new token. An unknown phone and a wrong password are one answer, in one time."""
    who = (caller.tenant_id, PersonKind.STAFF, given.phone, caller.address)
    attempts.consume_password_try(*who)
    found = staff.find_by_phone(mysql.autocommit, caller.tenant_id, given.phone)
    right = passwords.matches(given.password, found.password_hash if found else None)
    if found is None or not right:
        raise ApiError(BAD_CREDENTIALS)
    attempts.record_success(*who)
    checked = found.password_hash

    def issue(tx: Tx) -> SignedInStaff:
        """A reset in this moment ends what the old password opens."""
        found = staff.find_by_phone(tx, caller.tenant_id, given.phone, for_update=True)
        if found is None or found.password_hash != checked:
            raise ApiError(BAD_CREDENTIALS)
        token = tokens.issue_in_transaction(tx, caller.tenant_id, f"user:{found.user_id}", found.role)
        return SignedInStaff(userId=str(found.user_id), token=token, role=found.role, name=found.name)

    return mysql.run_transaction(issue)
