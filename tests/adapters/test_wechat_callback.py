"""Signature, encryption and XML of WeChat's calls, with the example of WeChat's own SDK."""

import base64

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from chalicelib.adapters import wechat_callback
from chalicelib.adapters.wechat_callback import InvalidCallbackError
from devstack.fakes import wechat_callbacks
from devstack.fakes.wechat_callbacks import CallbackTarget

# Source: the sample of WeChat's SDK for message encryption (WXBizMsgCrypt, Sample.py).
KEY, APP_ID, TOKEN = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx2c2769f8efd9abc2", "spamtest"
TIMESTAMP, NONCE, MSG_SIGNATURE = "1409735669", "1320562132", "5d197aaffba7e9b25a30732f161a50dee96bd5fa"
ENCRYPTED = (
    "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrXpbUAh"
    "0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlpKn6NPhRj"
    "pA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD1DlD+C0CR8e6"
    "OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
)
TARGET = CallbackTarget(APP_ID, "", TOKEN, KEY)


def encrypt_raw(plain: bytes) -> str:
    key = base64.b64decode(f"{KEY}=")
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def test_example_of_the_sdk() -> None:
    assert wechat_callback.is_signed(MSG_SIGNATURE, TOKEN, TIMESTAMP, NONCE, ENCRYPTED)
    assert not wechat_callback.is_signed(MSG_SIGNATURE, TOKEN, TIMESTAMP, NONCE, ENCRYPTED[:-4])
    leaves = dict(wechat_callback.parse_leaves(wechat_callback.decrypt(KEY, ENCRYPTED, APP_ID)))
    assert (leaves["Content"], leaves["MsgId"]) == ("abcdteT", "6054768590064713728")


@pytest.mark.parametrize("length", [*range(70), 255, 256, 4000])
def test_contents_of_every_padding_are_decrypted(length: int) -> None:
    encrypted = wechat_callbacks.encrypt(TARGET, "x" * length)
    assert wechat_callback.decrypt(KEY, encrypted, APP_ID) == b"x" * length


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        bytes(32),  # padding of 0
        bytes(31) + b"\x21",  # padding of 33
        bytes(30) + b"\x01\x02",  # a padding that does not repeat
        bytes(16) + (1 << 31).to_bytes(4, "big") + b"wx2c" + b"\x08" * 8,  # a length beyond the content
        b"\x20" * 32,  # only padding
    ],
)
def test_malformed_plain_text_is_rejected(plain: bytes) -> None:
    with pytest.raises(InvalidCallbackError):
        wechat_callback.decrypt(KEY, encrypt_raw(plain), APP_ID)


@pytest.mark.parametrize("encrypted", ["", "a", "====", "QUJD", "中文", ENCRYPTED[:-8] + "AAAAAAA="])
def test_undecryptable_text_is_rejected(encrypted: str) -> None:
    with pytest.raises(InvalidCallbackError):
        wechat_callback.decrypt(KEY, encrypted, APP_ID)


def test_content_of_another_account_is_rejected() -> None:
    for app_id in ("wx2c2769f8efd9abc3", "", "wx2c2769f8efd9abc"):
        with pytest.raises(InvalidCallbackError):
            wechat_callback.decrypt(KEY, ENCRYPTED, app_id)


@pytest.mark.parametrize("key", ["", "abc", "!" * 43, "a" * 42, "a" * 44, "中" * 43])
def test_invalid_key_is_rejected(key: str) -> None:
    with pytest.raises(InvalidCallbackError):
        wechat_callback.decode_key(key)


def test_nested_and_repeated_elements() -> None:
    xml = "<xml> <A>1</A>\n<B><C><![CDATA[<2>]]></C><C/></B></xml>"
    assert wechat_callback.parse_leaves(xml.encode()) == [("A", "1"), ("B/C", "<2>"), ("B/C", "")]


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<xml>",
        "text",
        '<!DOCTYPE x [<!ENTITY e "1">]><xml><A>&e;</A></xml>',
        "<!DOCTYPE xml><xml/>",
        "<a>" * 20 + "</a>" * 20,
        f"<xml>{'<a/>' * 600}</xml>",
        f"<xml><{'a' * 65}/></xml>",
        "<xml>&undefined;</xml>",
    ],
)
def test_other_xml_is_rejected(xml: str) -> None:
    with pytest.raises(InvalidCallbackError):
        wechat_callback.parse_leaves(xml.encode())


def test_other_encodings_are_rejected() -> None:
    for body in ("<xml>诊</xml>".encode("gbk"), "<xml>a</xml>".encode("utf-16")):
        with pytest.raises(InvalidCallbackError):
            wechat_callback.parse_leaves(body)
