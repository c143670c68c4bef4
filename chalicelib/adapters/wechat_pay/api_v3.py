"""WeChat Pay API v3: JSON, RSA signatures in both directions, AES-256-GCM.

WeChat Pay's key is selected by the serial in its message from those that the merchant has set up; none is fetched.
While a merchant migrates from platform certificates to the public key, WeChat Pay signs with either, so both may be set
up.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

import json
import secrets
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay import bill_files
from chalicelib.adapters.wechat_pay.rsa_crypto import decrypt_resource, sign, verify
from chalicelib.adapters.wechat_pay.types import (
    ALREADY_REFUNDED_TEXT,
    CURRENCY,
    BillDownload,
    BillKind,
    BillStatus,
    InvalidNotificationError,
    Merchant,
    Notification,
    NotificationKind,
    Order,
    OrderResult,
    RefundResult,
    RefundStatus,
    Trade,
    TradeState,
    WechatPayUnavailableError,
    parse_response,
)
from chalicelib.errors import ApiError
from chalicelib.settings import settings

Json = dict[str, Any]

ACKNOWLEDGEMENT = ("application/json", b"")
TIMEOUT_SECONDS = 5.0  # for connecting, and for each read
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"  # of a public key's serial; that of a platform certificate is hexadecimal
NOTIFICATION_KINDS = {"transaction": NotificationKind.PAYMENT, "refund": NotificationKind.REFUND}
NOT_FOUND_STATUS = 404
TOO_MANY_REQUESTS_STATUS = 429
# Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791866, https://pay.weixin.qq.com/doc/v3/merchant/4012556742
BILL_QUERIES = {
    BillKind.TRADE: ("/v3/bill/tradebill", {"bill_type": "ALL"}),
    BillKind.FUND: ("/v3/bill/fundflowbill", {"account_type": "BASIC"}),
}
BILL_STATUSES = {"NO_STATEMENT_EXIST": BillStatus.EMPTY, "STATEMENT_CREATING": BillStatus.CREATING}
DOWNLOAD_PATH_PREFIX = "/v3/bill"  # of a download_url
UNSIGNED_STATUSES = frozenset({401, 429})  # unknown merchant, too many requests: these responses may be unsigned


def prepay(merchant: Merchant, order: Order) -> OrderResult:
    """Create an order; see client.prepay."""
    status, response = _call(
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
    if status >= 400:
        return _parse_error(response)
    return parse_response(lambda: OrderResult(prepay_id=_require_text(response["prepay_id"])))


def query_order(merchant: Merchant, out_trade_no: str) -> Trade:
    """Return the state of an order; see client.query_order."""
    path = f"/v3/pay/transactions/out-trade-no/{out_trade_no}?{urlencode({'mchid': merchant.mch_id})}"
    status, response = _call(merchant, "GET", path)
    if status == NOT_FOUND_STATUS:
        return Trade(TradeState.NOT_FOUND)
    if status >= 400 or (response.get("mchid"), response.get("out_trade_no")) != (merchant.mch_id, out_trade_no):
        raise WechatPayUnavailableError(f"{status} {response.get('code', 'response about another order')}")
    return parse_response(lambda: _parse_trade(response))


def close_order(merchant: Merchant, out_trade_no: str) -> OrderResult:
    """Close an unpaid order; see client.close_order."""
    path = f"/v3/pay/transactions/out-trade-no/{out_trade_no}/close"
    status, response = _call(merchant, "POST", path, {"mchid": merchant.mch_id})
    is_rejected = status >= 400 or "code" in response  # USERPAYING comes with status 202
    return _parse_error(response) if is_rejected else OrderResult()


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> RefundResult:
    """Request a refund; see client.refund."""
    status, response = _call(
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
        error = _parse_error(response)
        return RefundResult(
            RefundStatus.NONE,
            error_code=error.error_code,
            error_msg=error.error_msg,
            is_already_refunded=status not in UNSIGNED_STATUSES and ALREADY_REFUNDED_TEXT in error.error_msg,
        )
    return parse_response(lambda: _parse_refund(response, out_refund_no))


def query_refund(merchant: Merchant, out_refund_no: str) -> RefundResult:
    """Return the state of a refund; see client.query_refund."""
    status, response = _call(merchant, "GET", f"/v3/refund/domestic/refunds/{out_refund_no}")
    if status == NOT_FOUND_STATUS:
        return RefundResult(RefundStatus.NONE)
    if status >= 400:
        raise WechatPayUnavailableError(f"{status} {response.get('code')}")
    return parse_response(lambda: _parse_refund(response, out_refund_no))


def download_bill(merchant: Merchant, kind: BillKind, day: date, file: BinaryIO) -> BillDownload:
    """Write a bill to a file; see client.download_bill.

    The response with the file has no signature. The one before it has, and contains the SHA-1 of the unpacked file.
    """
    path, parameters = BILL_QUERIES[kind]
    query = urlencode({"bill_date": day.isoformat(), **parameters, "tar_type": "GZIP"})
    status, response = _call(merchant, "GET", f"{path}?{query}")
    if status == TOO_MANY_REQUESTS_STATUS:
        raise WechatPayUnavailableError(str(status))
    if status >= 400:
        error_code = _parse_error(response).error_code
        return BillDownload(BILL_STATUSES.get(error_code, BillStatus.REJECTED), error_code)
    target, digest = parse_response(lambda: _parse_bill_location(response))
    headers = {
        "Authorization": _build_authorization(merchant, "GET", target, b""),
        "Accept": "application/json",
        "User-Agent": "zhenxun",
    }
    bill_files.download_and_unpack("GET", target, headers, b"", file, digest)
    return BillDownload(BillStatus.READY)


def _parse_bill_location(response: Json) -> tuple[str, str]:
    """Return path with query, and digest, of a bill's file.

    The host of the address is ignored: a signed request goes to no other host than WeChat Pay's.
    """
    parts = urlsplit(_require_text(response["download_url"]).strip())
    if response["hash_type"] != "SHA1" or not parts.path.startswith(DOWNLOAD_PATH_PREFIX):
        raise ValueError("not a bill's location")
    return f"{parts.path}?{parts.query}", _require_text(response["hash_value"]).lower()


def sign_page(merchant: Merchant, prepay_id: str, timestamp: str, nonce: str) -> str:
    """Return paySign; see client.sign_page, which checks the arguments."""
    return sign(merchant.private_key, f"{merchant.appid}\n{timestamp}\n{nonce}\nprepay_id={prepay_id}\n".encode())


def parse_notification(merchant: Merchant, headers: Mapping[str, str], body: bytes, now: int) -> Notification:
    """Verify and read a notification; see client.parse_notification."""
    try:
        resource = json.loads(body)["resource"]
        encrypted = {name: resource.get(name) or "" for name in ("algorithm", "ciphertext", "nonce", "associated_data")}
        kind = NOTIFICATION_KINDS[resource["original_type"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidNotificationError("malformed", 400) from error
    verify(merchant, headers, body, now)
    plaintext = decrypt_resource(merchant, encrypted)
    try:
        return _build_notification(kind, json.loads(plaintext))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidNotificationError("malformed resource", 400) from error


def _call(merchant: Merchant, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
    """Return status and JSON of the response, whose signature is verified."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Authorization": _build_authorization(merchant, method, path, content),
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "zhenxun",  # WeChat Pay rejects requests without one
        **_build_serial_header(merchant),
    }
    try:
        status, response_headers, raw_response = https.send_request(
            method, f"{settings.wechat_pay_url}{path}", headers, content, timeout=TIMEOUT_SECONDS
        )
        if status not in UNSIGNED_STATUSES:
            verify(merchant, response_headers, raw_response, clock.now())
    except (ApiError, InvalidNotificationError) as error:
        raise WechatPayUnavailableError(str(error)) from error
    if 300 <= status < 400:
        raise WechatPayUnavailableError(str(status))
    return status, parse_response(lambda: _require_object(json.loads(raw_response)) if raw_response else {})


def _build_authorization(merchant: Merchant, method: str, path: str, content: bytes) -> str:
    timestamp, nonce = str(clock.now() // clock.SECOND), secrets.token_hex(16)
    signature = sign(merchant.private_key, f"{method}\n{path}\n{timestamp}\n{nonce}\n".encode() + content + b"\n")
    fields = {
        "mchid": merchant.mch_id,
        "nonce_str": nonce,
        "signature": signature,
        "timestamp": timestamp,
        "serial_no": merchant.serial,
    }
    return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in fields.items())


def _build_serial_header(merchant: Merchant) -> dict[str, str]:
    """Request responses that are signed with the public key, if one is set up."""
    serials = [serial for serial in merchant.public_keys if serial.startswith(PUBLIC_KEY_PREFIX)]
    return {"Wechatpay-Serial": serials[0]} if serials else {}


def _parse_error(response: Json) -> OrderResult:
    return parse_response(lambda: OrderResult(_require_text(response["code"]), str(response.get("message", ""))))


def _parse_trade(response: Json) -> Trade:
    amount, payer = response.get("amount") or {}, response.get("payer") or {}
    return Trade(
        state=_require_text(response["trade_state"]),
        transaction_id=str(response.get("transaction_id", "")),
        fee=_require_fen(amount.get("total", 0)),
        currency=str(amount.get("currency", "")),
        paid_at=_parse_time(response.get("success_time")),
        open_id=str(payer.get("openid", "")),
    )


def _parse_refund(response: Json, out_refund_no: str) -> RefundResult:
    if response["out_refund_no"] != out_refund_no:
        raise ValueError("response about another refund")
    return RefundResult(
        _require_text(response["status"]),
        _require_text(response["refund_id"]),
        _require_fen(response["amount"]["refund"]),
        accepted_at=_parse_time(response.get("create_time")),
    )


def _build_notification(kind: NotificationKind, resource: Json) -> Notification:
    is_payment, amount = kind == NotificationKind.PAYMENT, resource["amount"]
    return Notification(
        kind=kind,
        out_trade_no=_require_text(resource["out_trade_no"]),
        transaction_id=_require_text(resource["transaction_id"]),
        mch_id=_require_text(resource["mchid"]),
        fee=_require_fen(amount["total" if is_payment else "refund"]),
        currency=str(amount.get("currency") or CURRENCY),
        state=_require_text(resource["trade_state" if is_payment else "refund_status"]),
        occurred_at=_parse_time(resource.get("success_time")),
        appid=_require_text(resource["appid"]) if is_payment else "",
        open_id=_require_text(resource["payer"]["openid"]) if is_payment else "",
        out_refund_no="" if is_payment else _require_text(resource["out_refund_no"]),
        refund_id="" if is_payment else _require_text(resource["refund_id"]),
    )


def _format_rfc3339(instant: int) -> str:
    return clock.format_wire_time(instant).replace(" ", "T") + "+08:00"


def _parse_time(text: str | None) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * clock.SECOND if text else 0


def _require_fen(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not an amount in fen")
    return value


def _require_object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _require_text(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise TypeError
    return value
