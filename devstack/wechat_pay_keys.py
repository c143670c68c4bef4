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

from devstack.paths import LOCAL, locked, write_whole

KEY = "PUB_KEY_ID_0119000000012026010100000000000000"
CERTIFICATE = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
MERCHANTS = "444F4864EA9B34415BA2C8AEC5E9A1D2C2A3E6B1"  # of the certificate that merchants sign with
FOLDER = LOCAL / "wechat-pay"
_kept: set[str] = set()


@dataclass(frozen=True)
class Signer:
    key: rsa.RSAPrivateKey
    public_pem: str  # a key, or a certificate

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, padding.PKCS1v15(), SHA256())


def signers() -> dict[str, Signer]:
    """WeChat Pay's, by serial: a merchant has the key, and from before it the platform certificate."""
    return {
        KEY: Signer(_key("wechat-pay"), public_pem("wechat-pay")),
        CERTIFICATE: Signer(_key("platform"), certificate_pem("platform")),
    }


def tls() -> ssl.SSLContext:
    """Of WeChat Pay's server at localhost: it looks at a merchant's certificate, and takes who shows none."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=certificate_pem("merchant"))
    context.verify_mode = ssl.CERT_OPTIONAL
    with NamedTemporaryFile("w") as pem:
        pem.write(certificate_pem("server") + private_pem("server"))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


def keep() -> None:
    """Have the keys be those of this machine, from now on in this process."""
    _kept.add("kept")


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    if not _kept:
        return rsa.generate_private_key(65537, 2048)
    file = FOLDER / f"{name}.pem"
    with locked(LOCAL / "wechat-pay.lock", busy=lambda: None):
        if not file.exists():
            write_whole(file, _pem(rsa.generate_private_key(65537, 2048)))
            file.chmod(0o600)
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def private_pem(name: str) -> str:
    return _pem(_key(name))


def public_pem(name: str) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return _key(name).public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


def public_key(name: str) -> rsa.RSAPublicKey:
    return _key(name).public_key()


@cache
def certificate_pem(name: str, year: int = 2025) -> str:
    """Good for five years."""
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begun = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder(whose, whose, _key(name).public_key(), int(CERTIFICATE, 16))
        .not_valid_before(begun)
        .not_valid_after(begun + datetime.timedelta(days=5 * 365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(_key(name), SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: rsa.RSAPrivateKey) -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()
