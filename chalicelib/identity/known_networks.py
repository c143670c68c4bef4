"""Networks in which the owner of a phone is known: from which they have signed in, or entered a code sent to the phone.

A network is an IPv4 address or the /64 of an IPv6 address (addresses.get_network). What strangers do elsewhere does not
limit the owner in a known network (docs/decisions/0026).
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people.roles import PersonKind

LIFETIME = 60 * clock.DAY  # after the last proof
MAX_PER_PHONE = 20  # the latest ones; a telephone in a mobile network has a new one each time it connects


def is_known(tx: Tx, tenant_id: int, kind: PersonKind, phone_blind: bytes, network: str) -> bool:
    """Return whether the owner of a phone is known in a network."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM known_networks
        WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND phone_blind = %(phone_blind)s
          AND network = %(network)s AND known_until > %(now)s
        """,
        tenant_id=tenant_id,
        kind=kind,
        phone_blind=phone_blind,
        network=network.encode(),
        now=clock.now(),
    )
    return found is not None


def remember(tx: Tx, tenant_id: int, kind: PersonKind, phone_blind: bytes, network: str) -> None:
    """Record a proof. Of a phone's networks the latest MAX_PER_PHONE remain."""
    key = {"tenant_id": tenant_id, "kind": kind, "phone_blind": phone_blind}
    tx.execute(
        """
        INSERT INTO known_networks (tenant_id, kind, phone_blind, network, known_until)
        VALUES (%(tenant_id)s, %(kind)s, %(phone_blind)s, %(network)s, %(until)s)
        ON DUPLICATE KEY UPDATE known_until = %(until)s
        """,
        **key,
        network=network.encode(),
        until=clock.now() + LIFETIME,
    )
    last = tx.fetch_value(
        f"""
        SELECT known_until FROM known_networks
        WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND phone_blind = %(phone_blind)s
        ORDER BY known_until DESC LIMIT 1 OFFSET {MAX_PER_PHONE - 1}
        """,
        **key,
    )
    if last is not None:
        tx.execute(
            """
            DELETE FROM known_networks
            WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND phone_blind = %(phone_blind)s
              AND known_until < %(last)s
            """,
            **key,
            last=last,
        )


def forget(tx: Tx, tenant_id: int, kind: PersonKind, phone_blind: bytes | None) -> None:
    """Let a phone be known in no network, because its owner has lost it: its next owner has not been in these."""
    tx.execute(
        """
        DELETE FROM known_networks
        WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND phone_blind = %(phone_blind)s
        """,
        tenant_id=tenant_id,
        kind=kind,
        phone_blind=phone_blind,
    )
