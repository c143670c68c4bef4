"""The keys of a merchant and of WeChat Pay itself, where both are ours. Made once in a process, or on this machine."""

import datetime
import ssl
from dataclasses import dataclass
from functools import cache
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from devstack.paths import LOCAL, hold_lock, write_atomically

PUBLIC_KEY_ID = "PUB_KEY_ID_0119000000012026010100000000000000"
PLATFORM_CERTIFICATE_SERIAL = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
MERCHANT_CERTIFICATE_SERIAL = "444F4864EA9B34415BA2C8AEC5E9A1D2C2A3E6B1"  # of the certificate that merchants sign with
KEYS_FOLDER = LOCAL / "wechat-pay"
_persistence: set[str] = set()


@dataclass(frozen=True)
class Signer:
    key: rsa.RSAPrivateKey
    public_pem: str  # a key, or a certificate

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, padding.PKCS1v15(), SHA256())


def create_signers() -> dict[str, Signer]:
    """WeChat Pay's, by serial: a merchant has the key, and from before it the platform certificate."""
    return {
        PUBLIC_KEY_ID: Signer(_get_key("wechat-pay"), get_public_pem("wechat-pay")),
        PLATFORM_CERTIFICATE_SERIAL: Signer(_get_key("platform"), get_certificate_pem("platform")),
    }


def create_tls_context() -> ssl.SSLContext:
    """Of WeChat Pay's server at localhost: it looks at a merchant's certificate, and takes who shows none."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=get_certificate_pem("merchant"))
    context.verify_mode = ssl.CERT_OPTIONAL
    with NamedTemporaryFile("w") as pem:
        pem.write(get_certificate_pem("server") + get_private_pem("server"))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


def use_persistent_keys() -> None:
    """Have the keys be those of this machine, from now on in this process."""
    _persistence.add("kept")


@cache
def _get_key(name: str) -> rsa.RSAPrivateKey:
    if not _persistence:
        return rsa.generate_private_key(65537, 2048)
    file = KEYS_FOLDER / f"{name}.pem"
    with hold_lock(LOCAL / "wechat-pay.lock", busy=lambda: None):
        if not file.exists():
            write_atomically(file, _to_pem(rsa.generate_private_key(65537, 2048)))
            file.chmod(0o600)
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def get_private_pem(name: str) -> str:
    return _to_pem(_get_key(name))


def get_public_pem(name: str) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return _get_key(name).public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


def get_public_key(name: str) -> rsa.RSAPublicKey:
    return _get_key(name).public_key()


@cache
def get_certificate_pem(name: str, year: int = 2025) -> str:
    """Good for five years."""
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begun = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder(whose, whose, _get_key(name).public_key(), int(PLATFORM_CERTIFICATE_SERIAL, 16))
        .not_valid_before(begun)
        .not_valid_after(begun + datetime.timedelta(days=5 * 365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(_get_key(name), SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _to_pem(key: rsa.RSAPrivateKey) -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()
