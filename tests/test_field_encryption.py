"""What is sealed opens for its own row alone, whichever key sealed it."""

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
Use = Callable[..., None]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """use(pairs): these are the keys from here on."""

    def use(*pairs: str) -> None:
        file = tmp_path / "keys"
        file.write_text("\n".join(pairs))
        monkeypatch.setattr(field_encryption, "settings", replace(settings, data_keys_file=str(file)))
        field_encryption._get_data_keys.cache_clear()

    yield use
    field_encryption._get_data_keys.cache_clear()


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    sealed = field_encryption.encrypt(1, "patients", 7, NUMBER)
    assert field_encryption.decrypt(1, "patients", 7, sealed) == NUMBER
    assert NUMBER.encode() not in sealed
    assert field_encryption.encrypt(1, "patients", 7, NUMBER) != sealed


@pytest.mark.parametrize("place", [(2, "patients", 7), (1, "members", 7), (1, "patients", 8)])
def test_a_value_that_was_moved_does_not_open(place: tuple[int, str, int]) -> None:
    with pytest.raises(DecryptionError):
        field_encryption.decrypt(*place, field_encryption.encrypt(1, "patients", 7, NUMBER))


def test_a_value_that_was_changed_does_not_open() -> None:
    sealed = field_encryption.encrypt(1, "patients", 7, NUMBER)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(DecryptionError):
            field_encryption.decrypt(1, "patients", 7, changed)
    for part in (b"", b":", sealed[:10], sealed[:-1], b"index" + sealed[sealed.index(b":") :]):
        with pytest.raises(DecryptionError):
            field_encryption.decrypt(1, "patients", 7, part)


def test_after_a_rotation_the_new_key_seals_and_the_old_one_opens(use: Use) -> None:
    use(OLD, INDEX)
    old, found_by = (
        field_encryption.encrypt(1, "patients", 7, NUMBER),
        field_encryption.compute_blind_index(1, "id:99", NUMBER),
    )
    use(OLD, NEW, INDEX)
    new = field_encryption.encrypt(1, "patients", 7, NUMBER)
    assert (old[:5], new[:5]) == (b"2025:", b"2026:")
    assert [field_encryption.decrypt(1, "patients", 7, one) for one in (old, new)] == [NUMBER, NUMBER]
    assert field_encryption.compute_blind_index(1, "id:99", NUMBER) == found_by
    use(NEW, INDEX)
    with pytest.raises(DecryptionError):
        field_encryption.decrypt(1, "patients", 7, old)


def test_two_keys_do_not_open_each_others_values(use: Use) -> None:
    use(OLD, NEW, INDEX)
    sealed = field_encryption.encrypt(1, "patients", 7, NUMBER)
    with pytest.raises(DecryptionError):
        field_encryption.decrypt(1, "patients", 7, b"2025" + sealed[4:])


def test_a_blind_index_differs_by_tenant_purpose_and_text() -> None:
    every = {
        field_encryption.compute_blind_index(*one)
        for one in [(1, "id:99", "a"), (2, "id:99", "a"), (1, "id:03", "a"), (1, "id:99", "b")]
    }
    assert len(every) == 4
    assert {len(one) for one in every} == {32}
    assert field_encryption.compute_blind_index(1, "id:99", "a") in every


def test_kms_is_asked_once_in_the_life_of_a_process(monkeypatch: pytest.MonkeyPatch, use: Use) -> None:
    use()
    asked = []

    def decrypt(wrapped: str, context: dict[str, str]) -> bytes:
        asked.append((wrapped, context))
        return wrapped[:1].encode() * 32

    monkeypatch.setattr(kms, "decrypt", decrypt)
    monkeypatch.setattr(
        field_encryption, "settings", replace(settings, data_keys="2026:AQID index:BQID", data_keys_file="")
    )
    field_encryption.preload_keys()
    assert field_encryption.decrypt(1, "patients", 7, field_encryption.encrypt(1, "patients", 7, NUMBER)) == NUMBER
    assert asked == [("AQID", {"zhenxun": "2026"}), ("BQID", {"zhenxun": "index"})]


def test_keys_are_not_printed() -> None:
    assert "AQID" not in repr(replace(settings, data_keys="2026:AQID"))


def test_only_what_seals_loads_cryptography() -> None:
    """PyMySQL would, at each cold start."""
    program = (
        "import sys; from chalicelib.adapters import mysql; from chalicelib.crypto import field_encryption\n"
        "assert 'cryptography' not in sys.modules\n"
        "assert field_encryption.decrypt(1, 't', 1, field_encryption.encrypt(1, 't', 1, 'x')) == 'x'"
    )
    environment = {"ZHENXUN_STAGE": "prod", "DATA_KEYS_FILE": settings.data_keys_file}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
