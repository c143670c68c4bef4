"""Certificates end: then no money goes back any more (a merchant's own), or none is believed to have come (WeChat's).

A job of each day says so in time.
"""

import json
import logging

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx

logger = logging.getLogger(__name__)

EXPIRY_WARNING_PERIOD = 30 * clock.DAY  # WeChat gives out a new one so long before


def log_expiring() -> None:
    """Log an error, which wakes somebody, for each account in use that has a certificate about to end."""
    for row in mysql.run_autocommit(_list_active_merchants):
        for what, until in _list_expiries(row):
            if until - clock.now() < EXPIRY_WARNING_PERIOD:
                ids = {"tenant_id": row["tenant_id"], "mch_id": row["mch_id"], "until": clock.format_wire_time(until)}
                logger.error(f"{what} ends", extra={"ids": ids})


def parse_expiry(certificate: str) -> int:
    """Return when a certificate (PEM) is over."""
    from cryptography.x509 import load_pem_x509_certificate

    return int(load_pem_x509_certificate(certificate.encode()).not_valid_after_utc.timestamp()) * clock.SECOND


def _list_active_merchants(tx: Tx) -> list[Row]:
    return tx.fetch_all("SELECT tenant_id, mch_id, certificate, public_keys FROM wechat_merchants WHERE in_use = 1")


def _list_expiries(row: Row) -> list[tuple[str, int]]:
    """Of WeChat's, old ones stay beside the new: the last counts, and none where there is a key, which never ends."""
    theirs = list(json.loads(row["public_keys"]).values())
    own = [("merchant certificate", parse_expiry(row["certificate"]))] if row["certificate"] else []
    if not theirs or any("BEGIN CERTIFICATE" not in pem for pem in theirs):
        return own
    return [*own, ("platform certificate", max(map(parse_expiry, theirs)))]
