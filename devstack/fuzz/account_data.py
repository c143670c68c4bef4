"""The patient's account of bin/fuzz, as each request needs it."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.people.consents import ConsentPurpose
from tests.support.factories import Person

LATEST_VERSION = 2**31 - 1  # of the privacy notice: a consent to it counts, whichever versions requests publish


def give_consents(person: Person) -> None:
    """Consent to all purposes, in case a request has published a notice or withdrawn a consent."""
    mysql.run_transaction(lambda tx: _give_consents(tx, person))


def _give_consents(tx: Tx, person: Person) -> None:
    given = """
        SELECT COUNT(*) FROM consents
        WHERE user_id = %(user_id)s AND withdrawn_at IS NULL AND version = %(version)s
    """
    if tx.fetch_value(given, user_id=person.user_id, version=LATEST_VERSION) == len(ConsentPurpose):
        return
    for purpose in ConsentPurpose:
        tx.execute(
            """
            INSERT INTO consents (tenant_id, user_id, purpose, version, address, given_at)
            VALUES (%(tenant_id)s, %(user_id)s, %(purpose)s, %(version)s, '', %(now)s)
            """,
            tenant_id=person.tenant_id,
            user_id=person.user_id,
            purpose=purpose,
            version=LATEST_VERSION,
            now=clock.now(),
        )
