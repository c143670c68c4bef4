"""The daily job that reports certificates about to expire.

With an expired merchant certificate v2 refunds fail; with an expired platform certificate notifications and responses
of WeChat Pay cannot be verified.
"""

import logging

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.payment import merchant_store
from chalicelib.payment.merchant_store import StoredMerchant

logger = logging.getLogger(__name__)

EXPIRY_WARNING_PERIOD = 30 * clock.DAY  # WeChat Pay issues a new platform certificate at this time


def log_expiring() -> None:
    """Log an error, which raises an alarm, for each active account with a certificate that expires soon."""
    for merchant in merchant_store.list_active(mysql.autocommit):
        for certificate_name, expires_at in _list_expiries(merchant):
            if expires_at - clock.now() < EXPIRY_WARNING_PERIOD:
                until = clock.format_wire_time(expires_at)
                ids = {"tenant_id": merchant.tenant_id, "mch_id": merchant.mch_id, "until": until}
                logger.error(f"{certificate_name} expires", extra={"ids": ids})


def parse_expiry(certificate: str) -> int:
    """Return when a certificate (PEM) expires."""
    from cryptography.x509 import load_pem_x509_certificate

    return int(load_pem_x509_certificate(certificate.encode()).not_valid_after_utc.timestamp()) * clock.SECOND


def _list_expiries(merchant: StoredMerchant) -> list[tuple[str, int]]:
    """Return name and expiry of the certificates that an account depends on.

    Old platform certificates stay configured beside their successors, so the last expiry counts. It does not matter if
    a public key is configured, which does not expire.
    """
    expiries = [("merchant certificate", parse_expiry(merchant.certificate))] if merchant.certificate else []
    platform_keys = list(merchant.public_keys.values())
    if platform_keys and all("BEGIN CERTIFICATE" in pem for pem in platform_keys):
        expiries.append(("platform certificate", max(map(parse_expiry, platform_keys))))
    return expiries
