"""WeChat Pay v3: JSON, RSA signatures both ways, AES-256-GCM. https://pay.weixin.qq.com/doc/v3/merchant/4012365342

WeChat's key is chosen by the serial that it names, out of those that the merchant has set up; none is ever fetched.
While a merchant goes from platform certificates to the public key WeChat signs with either, so both may be set up.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay.rsa_crypto import opened, sign, verify
from chalicelib.adapters.wechat_pay.types import (
    ALL_BACK,
    PAID,
    REFUNDED,
    Answer,
    BadNotice,
    Merchant,
    Notice,
    Order,
    Refund,
    Trade,
    Unreachable,
    made,
)
from chalicelib.errors import Refused
from chalicelib.settings import settings

Json = dict[str, Any]

ACKNOWLEDGEMENT = ("application/json", b"")
TIMEOUT = 5.0  # seconds of each step
CURRENCY = "CNY"
PUBLIC_KEY = "PUB_KEY_ID_"  # begins the serial of a key; others are numbers of platform certificates
KINDS = {"transaction": PAID, "refund": REFUNDED}
UNKNOWN = 404
UNTOLD = frozenset({401, 429})  # whom WeChat does not know, or who asks too often: these need not be signed


def prepay(merchant: Merchant, order: Order) -> Answer:
    status, said = _asked(
        merchant,
        "POST",
        "/v3/pay/transactions/jsapi",
        {
            "appid": merchant.appid,
            "mchid": merchant.mch_id,
            "description": order.description.encode()[:127].decode(errors="ignore"),
            "out_trade_no": order.out_trade_no,
            "time_expire": _rfc3339(order.expires_at),
            "notify_url": order.notify_url,
            "amount": {"total": order.fee, "currency": CURRENCY},
            "payer": {"openid": order.open_id},
        },
    )
    return _refused(said) if status >= 400 else made(lambda: Answer(prepay_id=_text(said["prepay_id"])))


def query(merchant: Merchant, out_trade_no: str) -> Trade:
    path = f"/v3/pay/transactions/out-trade-no/{out_trade_no}?{urlencode({'mchid': merchant.mch_id})}"
    status, said = _asked(merchant, "GET", path)
    if status == UNKNOWN:
        return Trade("")
    if status >= 400 or (said.get("mchid"), said.get("out_trade_no")) != (merchant.mch_id, out_trade_no):
        raise Unreachable(f"{status} {said.get('code', 'of another order')}")
    return made(lambda: _trade(said))


def close(merchant: Merchant, out_trade_no: str) -> Answer:
    path = f"/v3/pay/transactions/out-trade-no/{out_trade_no}/close"
    status, said = _asked(merchant, "POST", path, {"mchid": merchant.mch_id})
    return _refused(said) if status >= 400 or "code" in said else Answer()  # 202 USERPAYING is a no


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> Refund:
    status, said = _asked(
        merchant,
        "POST",
        "/v3/refund/domestic/refunds",
        {
            "out_trade_no": out_trade_no,
            "out_refund_no": out_refund_no,
            "reason": reason.encode()[:80].decode(errors="ignore"),
            **({"notify_url": notify_url} if notify_url else {}),
            "amount": {"refund": fee, "total": total, "currency": CURRENCY},
        },
    )
    if status >= 400:
        answer = _refused(said)
        needless = status not in UNTOLD and ALL_BACK in answer.error_msg
        return Refund("", error_code=answer.error_code, error_msg=answer.error_msg, is_needless=needless)
    return made(lambda: _refund(said, out_refund_no))


def query_refund(merchant: Merchant, out_refund_no: str) -> Refund:
    status, said = _asked(merchant, "GET", f"/v3/refund/domestic/refunds/{out_refund_no}")
    if status == UNKNOWN:
        return Refund("")
    if status >= 400:
        raise Unreachable(f"{status} {said.get('code')}")
    return made(lambda: _refund(said, out_refund_no))


def page_signature(merchant: Merchant, prepay_id: str, time_stamp: str, nonce: str) -> str:
    return sign(merchant.private_key, f"{merchant.appid}\n{time_stamp}\n{nonce}\nprepay_id={prepay_id}\n".encode())


def read_notice(merchant: Merchant, headers: Mapping[str, str], body: bytes, now: int) -> Notice:
    try:
        event = json.loads(body)
        resource = event["resource"]
        sealed = {name: resource.get(name) or "" for name in ("algorithm", "ciphertext", "nonce", "associated_data")}
        kind = KINDS[resource["original_type"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadNotice("makes no sense", 400) from error
    verify(merchant, headers, body, now)
    plain = opened(merchant, sealed)
    try:
        return _notice(kind, json.loads(plain))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadNotice("what was sealed makes no sense", 400) from error


def _asked(merchant: Merchant, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
    """Return what WeChat says, and has signed."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Authorization": _authorization(merchant, method, path, content),
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "zhenxun",  # without one WeChat does not listen
        **_expected_serial(merchant),
    }
    try:
        status, told, said = https.call(method, f"{settings.wechat_pay_url}{path}", headers, content, timeout=TIMEOUT)
        if status not in UNTOLD:
            verify(merchant, told, said, clock.now())
    except (Refused, BadNotice) as error:
        raise Unreachable(str(error)) from error
    if 300 <= status < 400:
        raise Unreachable(str(status))
    return status, made(lambda: _object(json.loads(said)) if said else {})


def _authorization(merchant: Merchant, method: str, path: str, content: bytes) -> str:
    time_stamp, nonce = str(clock.now() // clock.SECOND), secrets.token_hex(16)
    signature = sign(merchant.private_key, f"{method}\n{path}\n{time_stamp}\n{nonce}\n".encode() + content + b"\n")
    fields = {
        "mchid": merchant.mch_id,
        "nonce_str": nonce,
        "signature": signature,
        "timestamp": time_stamp,
        "serial_no": merchant.serial,
    }
    return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in fields.items())


def _expected_serial(merchant: Merchant) -> dict[str, str]:
    """Ask for answers that are signed by the public key, where one is set up."""
    keys = [one for one in merchant.public_keys if one.startswith(PUBLIC_KEY)]
    return {"Wechatpay-Serial": keys[0]} if keys else {}


def _refused(said: Json) -> Answer:
    return made(lambda: Answer(_text(said["code"]), str(said.get("message", ""))))


def _trade(said: Json) -> Trade:
    amount, payer = said.get("amount") or {}, said.get("payer") or {}
    return Trade(
        state=_text(said["trade_state"]),
        transaction_id=str(said.get("transaction_id", "")),
        fee=_fen(amount.get("total", 0)),
        currency=str(amount.get("currency", "")),
        paid_at=_instant(said.get("success_time")),
        open_id=str(payer.get("openid", "")),
    )


def _refund(said: Json, out_refund_no: str) -> Refund:
    if said["out_refund_no"] != out_refund_no:
        raise ValueError("of another refund")
    return Refund(_text(said["status"]), _text(said["refund_id"]), _fen(said["amount"]["refund"]))


def _notice(kind: str, said: Json) -> Notice:
    paid, amount = kind == PAID, said["amount"]
    return Notice(
        kind=kind,
        out_trade_no=_text(said["out_trade_no"]),
        transaction_id=_text(said["transaction_id"]),
        mch_id=_text(said["mchid"]),
        fee=_fen(amount["total" if paid else "refund"]),
        currency=str(amount.get("currency") or CURRENCY),
        state=_text(said["trade_state" if paid else "refund_status"]),
        at=_instant(said.get("success_time")),
        appid=_text(said["appid"]) if paid else "",
        open_id=_text(said["payer"]["openid"]) if paid else "",
        out_refund_no="" if paid else _text(said["out_refund_no"]),
        refund_id="" if paid else _text(said["refund_id"]),
    )


def _rfc3339(instant: int) -> str:
    return clock.wire(instant).replace(" ", "T") + "+08:00"


def _instant(text: str | None) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * clock.SECOND if text else 0


def _fen(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("no fen")
    return value


def _object(said: Any) -> Json:
    if not isinstance(said, dict):
        raise TypeError
    return said


def _text(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise TypeError
    return value
