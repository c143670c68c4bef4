"""A hospital's account at WeChat Pay as its admin sets it up. Keys are sealed, and never shown again."""

from typing import TYPE_CHECKING

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay.types import Merchant
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.payment import certificate_expiry, merchants
from chalicelib.payment.models import MASK_PREFIX, PayConf, PayConfSaved, PublicKey

if TYPE_CHECKING:  # 0.1 s of cold start, for who saves alone
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

REQUIRED_FIELDS = {
    "v3": ("serial", "private_key", "public_keys"),
    "v2": ("certificate", "private_key"),
}  # v2: to pay back
SIGN_TYPES = {"v3": ("RSA",), "v2": ("MD5", "HMAC-SHA256")}
VISIBLE_KEY_CHARS = 4  # of a key's characters, the last ones
MIN_RSA_BITS = 2048  # of an RSA key, at least


def get(caller: Caller) -> PayConf:
    row = merchants.find_active_row(mysql.autocommit, caller.tenant_id)
    if row is None:
        return PayConf()
    merchant = merchants.decrypt_row(caller.tenant_id, row)
    return PayConf(
        mch_id=merchant.mch_id,
        version=merchant.version,
        sign_type=merchant.sign_type,
        key=f"{MASK_PREFIX * 2}{merchant.key[-VISIBLE_KEY_CHARS:]}",
        serial=merchant.serial,
        private_key=MASK_PREFIX * 2 if merchant.private_key else "",
        certificate=merchant.certificate,
        public_keys=[PublicKey(serial=serial, pem=pem) for serial, pem in merchant.public_keys.items()],
        notify_url=merchants.build_notify_url(caller.tenant_id, "notify"),
    )


def save(caller: Caller, saved: PayConfSaved) -> None:
    """Keys that come back as they were shown stay. ApiError 400 for what no payment could be made with."""
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _save(tx, caller, saved))


def _save(tx: Tx, caller: Caller, saved: PayConfSaved) -> None:
    merchants.lock_tenant(tx, caller.tenant_id)
    row = merchants.find_row(tx, caller.tenant_id, saved.mch_id)
    before = merchants.decrypt_row(caller.tenant_id, row) if row else None
    key = before.key if before and before.version == saved.version else ""  # v2's is another secret than v3's
    merchant = Merchant(
        appid="",
        mch_id=saved.mch_id,
        version=saved.version,
        sign_type=saved.sign_type,
        key=_resolve_masked("key", saved.key, key),
        serial=saved.serial,
        private_key=_resolve_masked("private_key", saved.private_key, before.private_key if before else ""),
        certificate=saved.certificate,
        public_keys={one.serial: one.pem for one in saved.public_keys},
    )
    _validate(merchant)
    merchants.save(tx, caller.tenant_id, merchant, caller.user_id, clock.now())


def _resolve_masked(name: str, given: str, before: str) -> str:
    if not given.startswith(MASK_PREFIX):
        return given
    if not before:
        raise ApiError(errors.BAD_PARAMETER, f"{name}：必填")
    return before


def _validate(merchant: Merchant) -> None:
    if merchant.sign_type not in SIGN_TYPES[merchant.version]:
        raise ApiError(errors.BAD_PARAMETER, f"sign_type：必须是 {'、'.join(SIGN_TYPES[merchant.version])}")
    for name in REQUIRED_FIELDS[merchant.version]:
        if not getattr(merchant, name):
            raise ApiError(errors.BAD_PARAMETER, f"{name}：{merchant.version} 必填")
    own = _load_public_key("private_key", merchant.private_key)
    for serial, pem in merchant.public_keys.items():
        _load_public_key(f"public_keys（{serial}）", pem)
    if merchant.certificate and _load_public_key("certificate", merchant.certificate) != own:
        raise ApiError(errors.BAD_PARAMETER, "certificate：与 private_key 不是一对")
    if merchant.certificate and certificate_expiry.parse_expiry(merchant.certificate) <= clock.now():
        raise ApiError(errors.BAD_PARAMETER, "certificate：已过期")


def _load_public_key(name: str, pem: str) -> "RSAPublicKey":
    """Return its public key. ApiError where it is no RSA key, or certificate, that could sign or verify."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509 import load_pem_x509_certificate

    try:
        content = pem.encode("ascii")
        if name == "private_key":
            key = serialization.load_pem_private_key(content, None).public_key()
        elif name == "certificate" or "BEGIN CERTIFICATE" in pem:
            key = load_pem_x509_certificate(content).public_key()
        else:
            key = serialization.load_pem_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_RSA_BITS:
        raise ApiError(errors.BAD_PARAMETER, f"{name}：不是 {MIN_RSA_BITS} 位以上的 RSA 密钥或证书（PEM）")
    return key
