"""The merchant account as a hospital's admin configures it. Keys are stored encrypted and shown masked."""

from typing import TYPE_CHECKING

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant, SignType
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.payment import certificate_expiry, merchant_store, merchants
from chalicelib.payment.models import MASK_PREFIX, PayConf, PublicKey, SavePayConfRequest

if TYPE_CHECKING:  # importing it adds 0.1 s to the cold start of every function
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {
    ApiVersion.V3: ("serial", "private_key", "public_keys"),
    ApiVersion.V2: ("certificate", "private_key"),  # for refunds
}
SIGN_TYPES: dict[str, tuple[str, ...]] = {
    ApiVersion.V3: (SignType.RSA,),
    ApiVersion.V2: (SignType.MD5, SignType.HMAC_SHA256),
}
VISIBLE_KEY_CHARS = 4  # the last characters of a key are shown
MIN_RSA_BITS = 2048


def get(caller: Caller) -> PayConf:
    """Return the active account with its keys masked; all fields are empty if there is none."""
    stored = merchant_store.find_active(mysql.autocommit, caller.tenant_id)
    if stored is None:
        return PayConf()
    merchant = merchants.decrypt(stored)
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


def save(caller: Caller, settings: SavePayConfRequest) -> None:
    """Save an account and make it the active one. A masked key, as `get` returns it, means the stored one.

    Raises:
        ApiError: 400 for settings with which payments or refunds would fail.
    """
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _save(tx, caller, settings))


def _save(tx: Tx, caller: Caller, settings: SavePayConfRequest) -> None:
    merchant_store.lock_tenant(tx, caller.tenant_id)
    stored = merchant_store.find(tx, caller.tenant_id, settings.mch_id)
    before = merchants.decrypt(stored) if stored else None
    # The key of v2 is another secret than that of v3, so a masked key does not carry over to the other version.
    key_before = before.key if before and before.version == settings.version else ""
    merchant = Merchant(
        appid="",
        mch_id=settings.mch_id,
        version=settings.version,
        sign_type=settings.sign_type,
        key=_resolve_masked("key", settings.key, key_before),
        serial=settings.serial,
        private_key=_resolve_masked("private_key", settings.private_key, before.private_key if before else ""),
        certificate=settings.certificate,
        public_keys={key.serial: key.pem for key in settings.public_keys},
    )
    _validate(merchant)
    merchants.save(tx, caller.tenant_id, merchant, caller.user_id, clock.now())


def _resolve_masked(name: str, value: str, before: str) -> str:
    if not value.startswith(MASK_PREFIX):
        return value
    if not before:
        raise ApiError(errors.BAD_PARAMETER, f"{name}：必填")
    return before


def _validate(merchant: Merchant) -> None:
    if merchant.sign_type not in SIGN_TYPES[merchant.version]:
        raise ApiError(errors.BAD_PARAMETER, f"sign_type：必须是 {'、'.join(SIGN_TYPES[merchant.version])}")
    for name in REQUIRED_FIELDS[merchant.version]:
        if not getattr(merchant, name):
            raise ApiError(errors.BAD_PARAMETER, f"{name}：{merchant.version} 必填")
    own_key = _load_public_key("private_key", merchant.private_key)
    for serial, pem in merchant.public_keys.items():
        _load_public_key(f"public_keys（{serial}）", pem)
    if merchant.certificate and _load_public_key("certificate", merchant.certificate) != own_key:
        raise ApiError(errors.BAD_PARAMETER, "certificate：与 private_key 不是一对")
    if merchant.certificate and certificate_expiry.parse_expiry(merchant.certificate) <= clock.now():
        raise ApiError(errors.BAD_PARAMETER, "certificate：已过期")


def _load_public_key(name: str, pem: str) -> "RSAPublicKey":
    """Return the public key of a private key, certificate or public key, depending on the name of its field."""
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
