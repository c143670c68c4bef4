"""The calls by which the fake WeChat reports events to the server of an official account, signed as WeChat signs them.

Written apart from adapters/wechat_callback.py, so that one checks the other.
"""

import base64
import contextlib
import hashlib
import os
import struct
import time
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

ACCOUNT_NAME = "gh_123456789abc"


@dataclass(frozen=True)
class CallbackTarget:
    """Where an account's events go: what its admin has entered at WeChat."""

    app_id: str
    url: str
    token: str
    encoding_aes_key: str = ""  # "" for plain mode


@dataclass(frozen=True)
class CallbackRequest:
    """A call: the query string and the body."""

    query: dict[str, str]
    body: bytes


def build_event(openid: str, event: str, content: str = "", created_at: int | None = None) -> str:
    """Return the XML of an event.

    Args:
        content: the elements that only this event has.
        created_at: seconds; None for now.
    """
    created = int(time.time()) if created_at is None else created_at
    return (
        f"<xml><ToUserName><![CDATA[{ACCOUNT_NAME}]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
        f"<CreateTime>{created}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event>"
        f"{content}</xml>"
    )


def build_template_result(openid: str, msg_id: int, status: str = "success") -> str:
    """Return the event that reports what became of a template message."""
    return build_event(openid, "TEMPLATESENDJOBFINISH", f"<MsgID>{msg_id}</MsgID><Status><![CDATA[{status}]]></Status>")


def build_subscription_result(openid: str, template_id: str, msg_id: int, error_code: int = 0) -> str:
    """Return the event that reports what became of a subscription message."""
    status = "user refuse to accept the msg" if error_code else "success"
    content = (
        f"<TemplateId><![CDATA[{template_id}]]></TemplateId><MsgID>{msg_id}</MsgID><ErrorCode>{error_code}</ErrorCode>"
        f"<ErrorStatus><![CDATA[{status}]]></ErrorStatus>"
    )
    return build_event(
        openid, "subscribe_msg_sent_event", f"<SubscribeMsgSentEvent><List>{content}</List></SubscribeMsgSentEvent>"
    )


def build_subscription_choice(openid: str, choices: dict[str, str], is_popup: bool = True) -> str:
    """Return the event of a user who chose accept or reject for templates, in the page's popup or in the settings."""
    name, event = ("Popup", "popup") if is_popup else ("Change", "change")
    scene = "<PopupScene>2</PopupScene>" if is_popup else ""
    rows = "".join(
        f"<List><TemplateId><![CDATA[{template_id}]]></TemplateId>"
        f"<SubscribeStatusString><![CDATA[{choice}]]></SubscribeStatusString>{scene}</List>"
        for template_id, choice in choices.items()
    )
    content = f"<SubscribeMsg{name}Event>{rows}</SubscribeMsg{name}Event>"
    return build_event(openid, f"subscribe_msg_{event}_event", content)


def build_request(target: CallbackTarget, xml: str, timestamp: int | None = None, nonce: str = "") -> CallbackRequest:
    """Return the call that delivers an event, encrypted if the account has a key.

    Args:
        timestamp: seconds; None for now.
    """
    stamp, nonce = str(int(time.time()) if timestamp is None else timestamp), nonce or os.urandom(8).hex()
    query = {"signature": sign(target.token, stamp, nonce), "timestamp": stamp, "nonce": nonce}
    if not target.encoding_aes_key:
        return CallbackRequest(query, xml.encode())
    encrypted = encrypt(target, xml)
    signed = {"encrypt_type": "aes", "msg_signature": sign(target.token, stamp, nonce, encrypted)}
    body = f"<xml><ToUserName><![CDATA[{ACCOUNT_NAME}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    return CallbackRequest(query | signed, body.encode())


def sign(*parts: str) -> str:
    """Return the signature of a token and what goes with it."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def encrypt(target: CallbackTarget, xml: str) -> str:
    """Encrypt a text for the owner of an account."""
    key, content = base64.b64decode(target.encoding_aes_key + "="), xml.encode()
    plain = os.urandom(16) + struct.pack(">I", len(content)) + content + target.app_id.encode()
    padder = PKCS7(256).padder()
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def post(target: CallbackTarget, xml: str) -> None:
    """Deliver an event; WeChat's repetitions are left out."""
    request = build_request(target, xml)
    url = f"{target.url}?{urlencode(request.query)}"
    with contextlib.suppress(OSError):
        urllib.request.urlopen(urllib.request.Request(url, request.body, {"Content-Type": "text/xml"}), timeout=5)
