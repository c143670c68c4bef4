"""Keys of the fake WeChat Pay and its merchants, generated once in a process, or once on this machine."""

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
MERCHANT_CERTIFICATE_SERIAL = "444F4864EA9B34415BA2C8AEC5E9A1D2C2A3E6B1"  # of the certificate of all merchants
KEYS_FOLDER = LOCAL / "wechat-pay"
_persistence: set[str] = set()


@dataclass(frozen=True)
class Signer:
    """A key of WeChat Pay with what merchants configure to verify it."""

    key: rsa.RSAPrivateKey
    public_pem: str  # public key or certificate

    def sign(self, message: bytes) -> bytes:
        """Return the SHA-256 with RSA signature of a message."""
        return self.key.sign(message, padding.PKCS1v15(), SHA256())


def create_signers() -> dict[str, Signer]:
    """Return the public key and the platform certificate of WeChat Pay by serial."""
    return {
        PUBLIC_KEY_ID: Signer(_get_key("wechat-pay"), get_public_pem("wechat-pay")),
        PLATFORM_CERTIFICATE_SERIAL: Signer(_get_key("platform"), get_certificate_pem("platform")),
    }


def create_tls_context() -> ssl.SSLContext:
    """Return the TLS context of the server at localhost, which requests a merchant certificate but accepts none."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=get_certificate_pem("merchant"))
    context.verify_mode = ssl.CERT_OPTIONAL
    with NamedTemporaryFile("w") as pem:
        pem.write(get_certificate_pem("server") + get_private_pem("server"))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


def use_persistent_keys() -> None:
    """Use keys that are stored on this machine from now on in this process."""
    _persistence.add("enabled")


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
    """Return a private key by its name."""
    return _to_pem(_get_key(name))


def get_public_pem(name: str) -> str:
    """Return a public key by its name."""
    key_format = serialization.PublicFormat.SubjectPublicKeyInfo
    return _get_key(name).public_key().public_bytes(serialization.Encoding.PEM, key_format).decode()


def get_public_key(name: str) -> rsa.RSAPublicKey:
    """Return a public key by its name."""
    return _get_key(name).public_key()


@cache
def get_certificate_pem(name: str, year: int = 2025) -> str:
    """Return a self-signed certificate by its name, valid for five years from the beginning of `year`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    valid_from = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, _get_key(name).public_key(), int(PLATFORM_CERTIFICATE_SERIAL, 16))
        .not_valid_before(valid_from)
        .not_valid_after(valid_from + datetime.timedelta(days=5 * 365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(_get_key(name), SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _to_pem(key: rsa.RSAPrivateKey) -> str:
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*encoding).decode()
