"""Field encryption: values can be decrypted for their own row only, with any known key."""

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.adapters.aws import kms
from chalicelib.crypto import field_encryption
from chalicelib.crypto.field_encryption import DecryptionError
from chalicelib.settings import settings

NUMBER = "11010519491231002X"
OLD, NEW, INDEX = (f"{name}:{base64.b64encode(name[:1].encode() * 32).decode()}" for name in ("2025", "2026", "index"))
SetKeys = Callable[..., None]


@pytest.fixture
def set_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SetKeys]:
    """Return a function that sets the data keys."""

    def set_keys(*pairs: str) -> None:
        file = tmp_path / "keys"
        file.write_text("\n".join(pairs))
        monkeypatch.setattr(field_encryption, "settings", replace(settings, data_keys_file=str(file)))
        forget_keys()

    yield set_keys
    forget_keys()


def forget_keys() -> None:
    field_encryption._get_data_keys.cache_clear()
    field_encryption._get_index_key.cache_clear()


def test_encrypted_value_decrypts_to_the_text() -> None:
    encrypted = field_encryption.encrypt(1, "patients", 7, NUMBER)
    assert field_encryption.decrypt(1, "patients", 7, encrypted) == NUMBER
    assert NUMBER.encode() not in encrypted
    assert field_encryption.encrypt(1, "patients", 7, NUMBER) != encrypted


@pytest.mark.parametrize("row", [(2, "patients", 7), (1, "members", 7), (1, "patients", 8)])
def test_value_moved_to_another_row_is_rejected(row: tuple[int, str, int]) -> None:
    with pytest.raises(DecryptionError):
        field_encryption.decrypt(*row, field_encryption.encrypt(1, "patients", 7, NUMBER))


def test_modified_value_is_rejected() -> None:
    encrypted = field_encryption.encrypt(1, "patients", 7, NUMBER)
    for place in range(len(encrypted)):
        changed = encrypted[:place] + bytes([encrypted[place] ^ 1]) + encrypted[place + 1 :]
        with pytest.raises(DecryptionError):
            field_encryption.decrypt(1, "patients", 7, changed)
    for part in (b"", b":", encrypted[:10], encrypted[:-1], b"index" + encrypted[encrypted.index(b":") :]):
        with pytest.raises(DecryptionError):
            field_encryption.decrypt(1, "patients", 7, part)


def test_rotated_keys_encrypt_with_the_last_and_decrypt_with_all(set_keys: SetKeys) -> None:
    set_keys(OLD, INDEX)
    old, blind_index = (
        field_encryption.encrypt(1, "patients", 7, NUMBER),
        field_encryption.compute_blind_index(1, "id:99", NUMBER),
    )
    set_keys(OLD, NEW, INDEX)
    new = field_encryption.encrypt(1, "patients", 7, NUMBER)
    assert (old[:5], new[:5]) == (b"2025:", b"2026:")
    assert [field_encryption.decrypt(1, "patients", 7, one) for one in (old, new)] == [NUMBER, NUMBER]
    assert field_encryption.compute_blind_index(1, "id:99", NUMBER) == blind_index
    set_keys(NEW, INDEX)
    with pytest.raises(DecryptionError):
        field_encryption.decrypt(1, "patients", 7, old)


def test_value_is_rejected_under_another_key_id(set_keys: SetKeys) -> None:
    set_keys(OLD, NEW, INDEX)
    encrypted = field_encryption.encrypt(1, "patients", 7, NUMBER)
    with pytest.raises(DecryptionError):
        field_encryption.decrypt(1, "patients", 7, b"2025" + encrypted[4:])


def test_blind_index_differs_by_tenant_purpose_and_text() -> None:
    indexes = {
        field_encryption.compute_blind_index(*one)
        for one in [(1, "id:99", "a"), (2, "id:99", "a"), (1, "id:03", "a"), (1, "id:99", "b")]
    }
    assert len(indexes) == 4
    assert {len(one) for one in indexes} == {32}
    assert field_encryption.compute_blind_index(1, "id:99", "a") in indexes


def test_kms_is_called_once_per_process(monkeypatch: pytest.MonkeyPatch, set_keys: SetKeys) -> None:
    set_keys()
    calls = []

    def decrypt(ciphertext: str, context: dict[str, str]) -> bytes:
        calls.append((ciphertext, context))
        return ciphertext[:1].encode() * 32

    monkeypatch.setattr(kms, "decrypt", decrypt)
    monkeypatch.setattr(
        field_encryption, "settings", replace(settings, data_keys="2026:AQID index:BQID", data_keys_file="")
    )
    field_encryption.preload_keys()
    assert field_encryption.decrypt(1, "patients", 7, field_encryption.encrypt(1, "patients", 7, NUMBER)) == NUMBER
    assert calls == [("AQID", {"zhenxun": "2026"}), ("BQID", {"zhenxun": "index"})]


def test_computing_an_index_decrypts_no_other_key(set_keys: SetKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The consult function may decrypt the index key alone: see .chalice/policy-consult.json."""
    set_keys()  # forgets them afterwards
    calls = []

    def decrypt(ciphertext: str, context: dict[str, str]) -> bytes:
        calls.append((ciphertext, context))
        return b"i" * 32

    monkeypatch.setattr(kms, "decrypt", decrypt)
    monkeypatch.setattr(
        field_encryption, "settings", replace(settings, data_keys="2026:AQID index:BQID", data_keys_file="")
    )
    assert len(field_encryption.compute_blind_index(1, "session_no", "7:8")) == 32
    assert calls == [("BQID", {"zhenxun": "index"})]


def test_keys_are_not_printed() -> None:
    assert "AQID" not in repr(replace(settings, data_keys="2026:AQID"))


def test_only_encryption_imports_cryptography() -> None:
    """PyMySQL would import it at every cold start."""
    program = (
        "import sys; from chalicelib.adapters import mysql; from chalicelib.crypto import field_encryption\n"
        "assert 'cryptography' not in sys.modules\n"
        "assert field_encryption.decrypt(1, 't', 1, field_encryption.encrypt(1, 't', 1, 'x')) == 'x'"
    )
    environment = {"ZHENXUN_STAGE": "prod", "DATA_KEYS_FILE": settings.data_keys_file}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_preloading_reads_the_data_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    for name in ("_get_data_keys", "_get_index_key"):
        monkeypatch.setattr(field_encryption, name, lambda: calls.append(None))
    field_encryption.preload_keys()
    assert len(calls) == 2
