"""The server side of WeChat Pay API v3: verifies requests, signs responses, encrypts notifications."""

import base64
import gzip
import hashlib
import json
import re
import secrets
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant
from devstack.fakes import wechat_pay_bills, wechat_pay_keys, wechat_pay_rules
from devstack.fakes.wechat_pay_rules import MAX_CLOCK_SKEW, HttpRequest, HttpResponse, Order, Refund, WeChatPayError

if TYPE_CHECKING:
    from devstack.fakes.wechat_pay import SignedMessage, WeChatPay

Json = dict[str, Any]
AUTHORIZATION_SCHEME = "WECHATPAY2-SHA256-RSA2048 "
ORDER_PATH = "/v3/pay/transactions/out-trade-no/"
REFUNDS_PATH = "/v3/refund/domestic/refunds"
DOWNLOAD_PATH = "/v3/billdownload/file"
BILL_ACTIONS = {
    "/v3/bill/tradebill": "trade_bill",
    "/v3/bill/fundflowbill": "fund_bill",
    DOWNLOAD_PATH: "download_bill",
}
BILL_ERROR_CODES = {"creating": "STATEMENT_CREATING", "none": "NO_STATEMENT_EXIST", "out of range": "INVALID_REQUEST"}
TIME_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00")


def handle_request(pay: "WeChatPay", request: HttpRequest) -> HttpResponse:
    """Return the response to a request, or the configured failure."""
    path = urlsplit(request.path).path
    action = _get_action(request.method, path)
    with pay.lock:
        pay.calls[action] += 1
    failure = pay.failures.get(action)
    if failure == "":
        return 200, b"<html>busy</html>", {}
    if isinstance(failure, int):
        return failure, b"", {}
    try:
        with pay.lock:
            if failure:
                raise WeChatPayError(failure)
            merchant = authenticate(pay, request)
            if action == "download_bill":
                return _download_bill(pay, request)
            result = ACTION_HANDLERS[action](pay, merchant, request)
        status, body = (204, b"") if result is None else (200, _to_json(result))
    except WeChatPayError as error:
        if error.status == 401:
            return 401, _to_json({"code": error.code, "message": "签名错误"}), {"Content-Type": "application/json"}
        status, body = error.status, _to_json({"code": error.code, "message": error.message})
    return (
        status,
        body,
        {"Content-Type": "application/json; charset=utf-8", **build_signature_headers(pay, body, clock.now())},
    )


def _get_action(method: str, path: str) -> str:
    if path == "/v3/pay/transactions/jsapi":
        return "prepay"
    if path.startswith(ORDER_PATH):
        return "close" if method == "POST" and path.endswith("/close") else "query"
    if path in BILL_ACTIONS:
        return BILL_ACTIONS[path]
    return "refund" if method == "POST" else "query_refund"


def authenticate(pay: "WeChatPay", request: HttpRequest) -> Merchant:
    """Return the merchant that has signed a request within five minutes."""
    scheme, fields = request.headers.get("authorization", "").split(" ")[0] + " ", {}
    for pair in request.headers.get("authorization", "")[len(scheme) :].split(","):
        name, _, value = pair.partition("=")
        fields[name.strip()] = value.strip('"')
    merchant = pay.merchants.get(fields.get("mchid", ""))
    if (
        scheme != AUTHORIZATION_SCHEME
        or merchant is None
        or merchant.version != ApiVersion.V3
        or fields["serial_no"] != merchant.serial
    ):
        raise WeChatPayError("SIGN_ERROR", 401)
    message = (
        f"{request.method}\n{request.path}\n{fields['timestamp']}\n{fields['nonce_str']}\n".encode()
        + request.body
        + b"\n"
    )
    try:
        key = wechat_pay_keys.get_public_key("merchant")
        key.verify(base64.b64decode(fields["signature"]), message, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        raise WeChatPayError("SIGN_ERROR", 401) from None
    if abs(int(fields["timestamp"]) * clock.SECOND - clock.now()) > MAX_CLOCK_SKEW:
        raise WeChatPayError("SIGN_ERROR", 401)
    if not request.headers.get("user-agent") or request.headers.get("accept") != "application/json":
        raise WeChatPayError("PARAM_ERROR", 406)
    return merchant


def prepay(pay: "WeChatPay", merchant: Merchant, request: HttpRequest) -> Json:
    """Create an order."""
    body = json.loads(request.body)
    if (body["appid"], body["mchid"]) != (merchant.appid, merchant.mch_id):
        raise WeChatPayError("APPID_MCHID_NOT_MATCH")
    if not TIME_PATTERN.fullmatch(body["time_expire"]) or body["amount"]["currency"] != "CNY":
        raise WeChatPayError("PARAM_ERROR")
    order = Order(
        merchant,
        body["out_trade_no"],
        body["description"],
        body["amount"]["total"],
        body["payer"]["openid"],
        body["notify_url"],
        body["time_expire"],
    )
    return {"prepay_id": wechat_pay_rules.place_order(pay, order).prepay_id}


def query(pay: "WeChatPay", merchant: Merchant, request: HttpRequest) -> Json:
    """Return the state of an order."""
    parts = urlsplit(request.path)
    if parse_qs(parts.query) != {"mchid": [merchant.mch_id]}:
        raise WeChatPayError("PARAM_ERROR")
    return _build_transaction(wechat_pay_rules.get_order(pay, merchant, parts.path.removeprefix(ORDER_PATH)))


def close(pay: "WeChatPay", merchant: Merchant, request: HttpRequest) -> None:
    """Close an order."""
    if json.loads(request.body) != {"mchid": merchant.mch_id}:
        raise WeChatPayError("PARAM_ERROR")
    wechat_pay_rules.close_order(pay, merchant, request.path.removeprefix(ORDER_PATH).removesuffix("/close"))


def refund(pay: "WeChatPay", merchant: Merchant, request: HttpRequest) -> Json:
    """Create a refund."""
    body = json.loads(request.body)
    amount = body["amount"]
    order = wechat_pay_rules.get_order(pay, merchant, body["out_trade_no"])
    requested = Refund(order, body["out_refund_no"], amount["refund"], body["reason"], body.get("notify_url", ""))
    return _build_refund(
        wechat_pay_rules.create_refund(pay, merchant, body["out_trade_no"], amount["total"], requested)
    )


def query_refund(pay: "WeChatPay", merchant: Merchant, request: HttpRequest) -> Json:
    """Return the state of a refund."""
    return _build_refund(wechat_pay_rules.get_refund(pay, merchant, request.path.removeprefix(f"{REFUNDS_PATH}/")))


def request_trade_bill(pay: "WeChatPay", merchant: Merchant, request: HttpRequest) -> Json:
    """Return where the trade bill of a day can be downloaded."""
    return _request_bill(pay, merchant, request, "bill_type", "ALL", wechat_pay_bills.build_trade_bill)


def request_fund_bill(pay: "WeChatPay", merchant: Merchant, request: HttpRequest) -> Json:
    """Return where the fund flow bill of a day can be downloaded."""
    return _request_bill(pay, merchant, request, "account_type", "BASIC", wechat_pay_bills.build_fund_bill)


def _request_bill(
    pay: "WeChatPay",
    merchant: Merchant,
    request: HttpRequest,
    name: str,
    value: str,
    build: Callable[["WeChatPay", Merchant, date], str],
) -> Json:
    query = parse_qs(urlsplit(request.path).query)
    if query.get(name, [value]) != [value] or query.get("tar_type", ["GZIP"]) != ["GZIP"]:
        raise WeChatPayError("PARAM_ERROR")
    try:
        content = build(pay, merchant, date.fromisoformat(query["bill_date"][0])).encode()
    except wechat_pay_bills.NoBillError as error:
        raise WeChatPayError(BILL_ERROR_CODES[error.reason]) from error
    token = secrets.token_urlsafe(24)
    pay.bill_files[token] = gzip.compress(content) if "tar_type" in query else content
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"hash_type": "SHA1", "hash_value": digest, "download_url": f"{pay.url}{DOWNLOAD_PATH}?token={token}"}


def _download_bill(pay: "WeChatPay", request: HttpRequest) -> HttpResponse:
    """Return a bill's file, without a signature."""
    token = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
    if token not in pay.bill_files:
        raise WeChatPayError("INVALID_REQUEST")
    return 200, pay.bill_files[token], {"Content-Type": "application/octet-stream"}


ACTION_HANDLERS: dict[str, Callable[["WeChatPay", Merchant, HttpRequest], Json | None]] = {
    "trade_bill": request_trade_bill,
    "fund_bill": request_fund_bill,
    "prepay": prepay,
    "query": query,
    "close": close,
    "refund": refund,
    "query_refund": query_refund,
}


def build_payment_notification(pay: "WeChatPay", order: Order, at: int) -> "SignedMessage":
    """Return the notification of a payment."""
    return build_notification(pay, order.merchant, "transaction", _build_transaction(order), at)


def build_refund_notification(pay: "WeChatPay", refund: Refund, at: int) -> "SignedMessage":
    """Return the notification of a refund."""
    fields = {**_build_refund(refund), "mchid": refund.order.merchant.mch_id, "refund_status": refund.state}
    amount = {name: value for name, value in fields["amount"].items() if name != "currency"}
    content = {name: value for name, value in fields.items() if name not in ("status", "create_time")}
    return build_notification(pay, refund.order.merchant, "refund", {**content, "amount": amount}, at)


def build_notification(pay: "WeChatPay", merchant: Merchant, kind: str, content: Json, at: int) -> "SignedMessage":
    """Return a notification with encrypted content, signed at a time in µs."""
    nonce = secrets.token_hex(6)
    ciphertext = AESGCM(merchant.key.encode()).encrypt(nonce.encode(), _to_json(content), kind.encode())
    state = content.get("refund_status", "SUCCESS")
    body = _to_json(
        {
            "id": f"EV-{secrets.token_hex(12)}",
            "create_time": _format_time(at),
            "resource_type": "encrypt-resource",
            "event_type": f"{kind.upper()}.{state}",
            "summary": "支付成功" if kind == "transaction" else "退款",
            "resource": {
                "original_type": kind,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(ciphertext).decode(),
                "associated_data": kind,
                "nonce": nonce,
            },
        }
    )
    return {"Content-Type": "application/json", **build_signature_headers(pay, body, at)}, body


def build_signature_headers(pay: "WeChatPay", body: bytes, at: int) -> dict[str, str]:
    """Return the headers that sign a body; with a wrong key if signs_with_wrong_key is set."""
    time_stamp, nonce = str(at // clock.SECOND), secrets.token_hex(16)
    signer = pay.signers[
        wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL if pay.signs_with_wrong_key else pay.signing_serial
    ]
    signature = signer.sign(f"{time_stamp}\n{nonce}\n".encode() + body + b"\n")
    return {
        "Wechatpay-Serial": pay.signing_serial,
        "Wechatpay-Timestamp": time_stamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }


def _build_transaction(order: Order) -> Json:
    transaction = {
        "appid": order.merchant.appid,
        "mchid": order.merchant.mch_id,
        "out_trade_no": order.out_trade_no,
        "trade_type": "JSAPI",
        "trade_state": order.state,
        "trade_state_desc": "支付成功" if order.paid_at else "订单未支付",
        "attach": "",
        "payer": {"openid": order.open_id},
        "amount": {"total": order.fee, "payer_total": order.fee, "currency": "CNY", "payer_currency": "CNY"},
    }
    if not order.paid_at:
        return transaction
    return {
        **transaction,
        "transaction_id": order.transaction_id,
        "bank_type": "OTHERS",
        "success_time": _format_time(order.paid_at),
    }


def _build_refund(refund: Refund) -> Json:
    amount = {
        "total": refund.order.fee,
        "refund": refund.fee,
        "payer_total": refund.order.fee,
        "payer_refund": refund.fee,
    }
    return {
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": refund.order.transaction_id,
        "out_trade_no": refund.order.out_trade_no,
        "user_received_account": "支付用户零钱",
        "create_time": _format_time(refund.created_at),
        "status": refund.state,
        "amount": {**amount, "currency": "CNY"},
        **({"success_time": _format_time(refund.settled_at)} if refund.state == "SUCCESS" else {}),
    }


def _to_json(content: Json) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _format_time(at: int) -> str:
    return clock.format_wire_time(at).replace(" ", "T") + "+08:00"
