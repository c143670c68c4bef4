"""A hospital's account at WeChat Pay as its admin sets it up. Keys are sealed, and never shown again."""

from typing import TYPE_CHECKING

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay.types import Merchant
from chalicelib.crypto import field_encryption
from chalicelib.errors import Refused
from chalicelib.identity.callers import Caller
from chalicelib.payment import certificate_expiry, merchants
from chalicelib.payment.models import MASK, PayConf, PayConfSaved, PublicKey

if TYPE_CHECKING:  # 0.1 s of cold start, for who saves alone
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

WANTED = {"v3": ("serial", "private_key", "public_keys"), "v2": ("certificate", "private_key")}  # v2: to pay back
SIGN_TYPES = {"v3": ("RSA",), "v2": ("MD5", "HMAC-SHA256")}
SHOWN = 4  # of a key's characters, the last ones
BITS = 2048  # of an RSA key, at least


def shown(caller: Caller) -> PayConf:
    row = mysql.autocommit(lambda tx: merchants.in_use(tx, caller.tenant_id))
    if row is None:
        return PayConf()
    merchant = merchants.opened(caller.tenant_id, row)
    return PayConf(
        mch_id=merchant.mch_id,
        version=merchant.version,
        sign_type=merchant.sign_type,
        key=f"{MASK * 2}{merchant.key[-SHOWN:]}",
        serial=merchant.serial,
        private_key=MASK * 2 if merchant.private_key else "",
        certificate=merchant.certificate,
        public_keys=[PublicKey(serial=serial, pem=pem) for serial, pem in merchant.public_keys.items()],
        notify_url=merchants.notify_url(caller.tenant_id, "notify"),
    )


def save(caller: Caller, saved: PayConfSaved) -> None:
    """Keys that come back as they were shown stay. Refused 400 for what no payment could be made with."""
    field_encryption.ready()
    mysql.transact(lambda tx: _save(tx, caller, saved))


def _save(tx: Tx, caller: Caller, saved: PayConfSaved) -> None:
    merchants.hold(tx, caller.tenant_id)
    row = merchants.one(tx, caller.tenant_id, saved.mch_id)
    before = merchants.opened(caller.tenant_id, row) if row else None
    key = before.key if before and before.version == saved.version else ""  # v2's is another secret than v3's
    merchant = Merchant(
        appid="",
        mch_id=saved.mch_id,
        version=saved.version,
        sign_type=saved.sign_type,
        key=_kept("key", saved.key, key),
        serial=saved.serial,
        private_key=_kept("private_key", saved.private_key, before.private_key if before else ""),
        certificate=saved.certificate,
        public_keys={one.serial: one.pem for one in saved.public_keys},
    )
    _check(merchant)
    merchants.save(tx, caller.tenant_id, merchant, caller.user_id, clock.now())


def _kept(name: str, given: str, before: str) -> str:
    if not given.startswith(MASK):
        return given
    if not before:
        raise Refused(errors.BAD_PARAMETER, f"{name}：必填")
    return before


def _check(merchant: Merchant) -> None:
    if merchant.sign_type not in SIGN_TYPES[merchant.version]:
        raise Refused(errors.BAD_PARAMETER, f"sign_type：必须是 {'、'.join(SIGN_TYPES[merchant.version])}")
    for name in WANTED[merchant.version]:
        if not getattr(merchant, name):
            raise Refused(errors.BAD_PARAMETER, f"{name}：{merchant.version} 必填")
    own = _loaded("private_key", merchant.private_key)
    for serial, pem in merchant.public_keys.items():
        _loaded(f"public_keys（{serial}）", pem)
    if merchant.certificate and _loaded("certificate", merchant.certificate) != own:
        raise Refused(errors.BAD_PARAMETER, "certificate：与 private_key 不是一对")
    if merchant.certificate and certificate_expiry.end(merchant.certificate) <= clock.now():
        raise Refused(errors.BAD_PARAMETER, "certificate：已过期")


def _loaded(name: str, pem: str) -> "RSAPublicKey":
    """Return its public key. Refused where it is no RSA key, or certificate, that could sign or verify."""
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
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < BITS:
        raise Refused(errors.BAD_PARAMETER, f"{name}：不是 {BITS} 位以上的 RSA 密钥或证书（PEM）")
    return key
