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
from chalicelib.adapters.wechat_pay.rsa_crypto import decrypt_resource, sign, verify
from chalicelib.adapters.wechat_pay.types import (
    ALREADY_REFUNDED_TEXT,
    InvalidNotificationError,
    Merchant,
    Notification,
    NotificationKind,
    Order,
    OrderResult,
    RefundResult,
    Trade,
    WechatPayUnavailableError,
    parse_response,
)
from chalicelib.errors import ApiError
from chalicelib.settings import settings

Json = dict[str, Any]

ACKNOWLEDGEMENT = ("application/json", b"")
TIMEOUT_SECONDS = 5.0  # seconds of each step
CURRENCY = "CNY"
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"  # begins the serial of a key; others are numbers of platform certificates
NOTIFICATION_KINDS = {"transaction": NotificationKind.PAYMENT, "refund": NotificationKind.REFUND}
NOT_FOUND_STATUS = 404
UNSIGNED_STATUSES = frozenset({401, 429})  # whom WeChat does not know, or who asks too often: these need not be signed


def prepay(merchant: Merchant, order: Order) -> OrderResult:
    status, said = _call(
        merchant,
        "POST",
        "/v3/pay/transactions/jsapi",
        {
            "appid": merchant.appid,
            "mchid": merchant.mch_id,
            "description": order.description.encode()[:127].decode(errors="ignore"),
            "out_trade_no": order.out_trade_no,
            "time_expire": _format_rfc3339(order.expires_at),
            "notify_url": order.notify_url,
            "amount": {"total": order.fee, "currency": CURRENCY},
            "payer": {"openid": order.open_id},
        },
    )
    return (
        _parse_error(said)
        if status >= 400
        else parse_response(lambda: OrderResult(prepay_id=_require_text(said["prepay_id"])))
    )


def query_order(merchant: Merchant, out_trade_no: str) -> Trade:
    path = f"/v3/pay/transactions/out-trade-no/{out_trade_no}?{urlencode({'mchid': merchant.mch_id})}"
    status, said = _call(merchant, "GET", path)
    if status == NOT_FOUND_STATUS:
        return Trade("")
    if status >= 400 or (said.get("mchid"), said.get("out_trade_no")) != (merchant.mch_id, out_trade_no):
        raise WechatPayUnavailableError(f"{status} {said.get('code', 'of another order')}")
    return parse_response(lambda: _parse_trade(said))


def close_order(merchant: Merchant, out_trade_no: str) -> OrderResult:
    path = f"/v3/pay/transactions/out-trade-no/{out_trade_no}/close"
    status, said = _call(merchant, "POST", path, {"mchid": merchant.mch_id})
    return _parse_error(said) if status >= 400 or "code" in said else OrderResult()  # 202 USERPAYING is a no


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> RefundResult:
    status, said = _call(
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
        answer = _parse_error(said)
        needless = status not in UNSIGNED_STATUSES and ALREADY_REFUNDED_TEXT in answer.error_msg
        return RefundResult("", error_code=answer.error_code, error_msg=answer.error_msg, is_already_refunded=needless)
    return parse_response(lambda: _parse_refund(said, out_refund_no))


def query_refund(merchant: Merchant, out_refund_no: str) -> RefundResult:
    status, said = _call(merchant, "GET", f"/v3/refund/domestic/refunds/{out_refund_no}")
    if status == NOT_FOUND_STATUS:
        return RefundResult("")
    if status >= 400:
        raise WechatPayUnavailableError(f"{status} {said.get('code')}")
    return parse_response(lambda: _parse_refund(said, out_refund_no))


def sign_page(merchant: Merchant, prepay_id: str, time_stamp: str, nonce: str) -> str:
    return sign(merchant.private_key, f"{merchant.appid}\n{time_stamp}\n{nonce}\nprepay_id={prepay_id}\n".encode())


def parse_notification(merchant: Merchant, headers: Mapping[str, str], body: bytes, now: int) -> Notification:
    try:
        event = json.loads(body)
        resource = event["resource"]
        sealed = {name: resource.get(name) or "" for name in ("algorithm", "ciphertext", "nonce", "associated_data")}
        kind = NOTIFICATION_KINDS[resource["original_type"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidNotificationError("makes no sense", 400) from error
    verify(merchant, headers, body, now)
    plain = decrypt_resource(merchant, sealed)
    try:
        return _build_notification(kind, json.loads(plain))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidNotificationError("what was sealed makes no sense", 400) from error


def _call(merchant: Merchant, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
    """Return what WeChat says, and has signed."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Authorization": _build_authorization(merchant, method, path, content),
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "zhenxun",  # without one WeChat does not listen
        **_build_serial_header(merchant),
    }
    try:
        status, told, said = https.send_request(
            method, f"{settings.wechat_pay_url}{path}", headers, content, timeout=TIMEOUT_SECONDS
        )
        if status not in UNSIGNED_STATUSES:
            verify(merchant, told, said, clock.now())
    except (ApiError, InvalidNotificationError) as error:
        raise WechatPayUnavailableError(str(error)) from error
    if 300 <= status < 400:
        raise WechatPayUnavailableError(str(status))
    return status, parse_response(lambda: _require_object(json.loads(said)) if said else {})


def _build_authorization(merchant: Merchant, method: str, path: str, content: bytes) -> str:
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


def _build_serial_header(merchant: Merchant) -> dict[str, str]:
    """Ask for answers that are signed by the public key, where one is set up."""
    keys = [one for one in merchant.public_keys if one.startswith(PUBLIC_KEY_PREFIX)]
    return {"Wechatpay-Serial": keys[0]} if keys else {}


def _parse_error(said: Json) -> OrderResult:
    return parse_response(lambda: OrderResult(_require_text(said["code"]), str(said.get("message", ""))))


def _parse_trade(said: Json) -> Trade:
    amount, payer = said.get("amount") or {}, said.get("payer") or {}
    return Trade(
        state=_require_text(said["trade_state"]),
        transaction_id=str(said.get("transaction_id", "")),
        fee=_require_fen(amount.get("total", 0)),
        currency=str(amount.get("currency", "")),
        paid_at=_parse_time(said.get("success_time")),
        open_id=str(payer.get("openid", "")),
    )


def _parse_refund(said: Json, out_refund_no: str) -> RefundResult:
    if said["out_refund_no"] != out_refund_no:
        raise ValueError("of another refund")
    return RefundResult(
        _require_text(said["status"]), _require_text(said["refund_id"]), _require_fen(said["amount"]["refund"])
    )


def _build_notification(kind: str, said: Json) -> Notification:
    paid, amount = kind == NotificationKind.PAYMENT, said["amount"]
    return Notification(
        kind=kind,
        out_trade_no=_require_text(said["out_trade_no"]),
        transaction_id=_require_text(said["transaction_id"]),
        mch_id=_require_text(said["mchid"]),
        fee=_require_fen(amount["total" if paid else "refund"]),
        currency=str(amount.get("currency") or CURRENCY),
        state=_require_text(said["trade_state" if paid else "refund_status"]),
        occurred_at=_parse_time(said.get("success_time")),
        appid=_require_text(said["appid"]) if paid else "",
        open_id=_require_text(said["payer"]["openid"]) if paid else "",
        out_refund_no="" if paid else _require_text(said["out_refund_no"]),
        refund_id="" if paid else _require_text(said["refund_id"]),
    )


def _format_rfc3339(instant: int) -> str:
    return clock.format_wire_time(instant).replace(" ", "T") + "+08:00"


def _parse_time(text: str | None) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * clock.SECOND if text else 0


def _require_fen(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("no fen")
    return value


def _require_object(said: Any) -> Json:
    if not isinstance(said, dict):
        raise TypeError
    return said


def _require_text(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise TypeError
    return value
