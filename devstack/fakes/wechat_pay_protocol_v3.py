"""WeChat Pay v3 as its own side speaks it: checks what merchants have signed, signs what it says, seals notices."""

import base64
import json
import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant
from devstack.fakes import wechat_pay_keys, wechat_pay_rules
from devstack.fakes.wechat_pay_rules import MAX_CLOCK_SKEW, HttpRequest, HttpResponse, Order, Refund, WeChatPayError

if TYPE_CHECKING:
    from devstack.fakes.wechat_pay import SignedMessage, WeChatPay

Json = dict[str, Any]
AUTHORIZATION_SCHEME = "WECHATPAY2-SHA256-RSA2048 "
ORDER_PATH = "/v3/pay/transactions/out-trade-no/"
REFUNDS_PATH = "/v3/refund/domestic/refunds"
TIME_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00")


def handle_request(pay: "WeChatPay", asked: HttpRequest) -> HttpResponse:
    path = urlsplit(asked.path).path
    action = _get_action(asked.method, path)
    with pay.lock:
        pay.calls[action] += 1
    failing = pay.failures.get(action)
    if failing == "":
        return 200, b"<html>busy</html>", {}
    if isinstance(failing, int):
        return failing, b"", {}
    try:
        with pay.lock:
            if failing:
                raise WeChatPayError(failing)
            merchant = authenticate(pay, asked)
            said = ACTION_HANDLERS[action](pay, merchant, asked)
        status, body = (204, b"") if said is None else (200, _to_json(said))
    except WeChatPayError as wrong:
        if wrong.status == 401:
            return 401, _to_json({"code": wrong.code, "message": "签名错误"}), {"Content-Type": "application/json"}
        status, body = wrong.status, _to_json({"code": wrong.code, "message": wrong.message})
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
    return "refund" if method == "POST" else "query_refund"


def authenticate(pay: "WeChatPay", asked: HttpRequest) -> Merchant:
    """Who has signed this request, within five minutes. Raises Wrong."""
    scheme, fields = asked.headers.get("authorization", "").split(" ")[0] + " ", {}
    for pair in asked.headers.get("authorization", "")[len(scheme) :].split(","):
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
    said = f"{asked.method}\n{asked.path}\n{fields['timestamp']}\n{fields['nonce_str']}\n".encode() + asked.body + b"\n"
    try:
        key = wechat_pay_keys.get_public_key("merchant")
        key.verify(base64.b64decode(fields["signature"]), said, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        raise WeChatPayError("SIGN_ERROR", 401) from None
    if abs(int(fields["timestamp"]) * clock.SECOND - clock.now()) > MAX_CLOCK_SKEW:
        raise WeChatPayError("SIGN_ERROR", 401)
    if not asked.headers.get("user-agent") or asked.headers.get("accept") != "application/json":
        raise WeChatPayError("PARAM_ERROR", 406)
    return merchant


def prepay(pay: "WeChatPay", merchant: Merchant, asked: HttpRequest) -> Json:
    told = json.loads(asked.body)
    if (told["appid"], told["mchid"]) != (merchant.appid, merchant.mch_id):
        raise WeChatPayError("APPID_MCHID_NOT_MATCH")
    if not TIME_PATTERN.fullmatch(told["time_expire"]) or told["amount"]["currency"] != "CNY":
        raise WeChatPayError("PARAM_ERROR")
    order = Order(
        merchant,
        told["out_trade_no"],
        told["description"],
        told["amount"]["total"],
        told["payer"]["openid"],
        told["notify_url"],
        told["time_expire"],
    )
    return {"prepay_id": wechat_pay_rules.place_order(pay, order).prepay_id}


def query(pay: "WeChatPay", merchant: Merchant, asked: HttpRequest) -> Json:
    parts = urlsplit(asked.path)
    if parse_qs(parts.query) != {"mchid": [merchant.mch_id]}:
        raise WeChatPayError("PARAM_ERROR")
    return _build_transaction(wechat_pay_rules.get_order(pay, merchant, parts.path.removeprefix(ORDER_PATH)))


def close(pay: "WeChatPay", merchant: Merchant, asked: HttpRequest) -> None:
    if json.loads(asked.body) != {"mchid": merchant.mch_id}:
        raise WeChatPayError("PARAM_ERROR")
    wechat_pay_rules.close_order(pay, merchant, asked.path.removeprefix(ORDER_PATH).removesuffix("/close"))


def refund(pay: "WeChatPay", merchant: Merchant, asked: HttpRequest) -> Json:
    told, amount = json.loads(asked.body), json.loads(asked.body)["amount"]
    order = wechat_pay_rules.get_order(pay, merchant, told["out_trade_no"])
    wanted = Refund(order, told["out_refund_no"], amount["refund"], told["reason"], told.get("notify_url", ""))
    return _build_refund(wechat_pay_rules.create_refund(pay, merchant, told["out_trade_no"], amount["total"], wanted))


def query_refund(pay: "WeChatPay", merchant: Merchant, asked: HttpRequest) -> Json:
    return _build_refund(wechat_pay_rules.get_refund(pay, merchant, asked.path.removeprefix(f"{REFUNDS_PATH}/")))


ACTION_HANDLERS: dict[str, Callable[["WeChatPay", Merchant, HttpRequest], Json | None]] = {
    "prepay": prepay,
    "query": query,
    "close": close,
    "refund": refund,
    "query_refund": query_refund,
}


def build_payment_notification(pay: "WeChatPay", order: Order, at: int) -> "SignedMessage":
    return build_notification(pay, order.merchant, "transaction", _build_transaction(order), at)


def build_refund_notification(pay: "WeChatPay", refund: Refund, at: int) -> "SignedMessage":
    said = {**_build_refund(refund), "mchid": refund.order.merchant.mch_id, "refund_status": refund.state}
    amount = {name: value for name, value in said["amount"].items() if name != "currency"}
    told = {name: value for name, value in said.items() if name != "status"}
    return build_notification(pay, refund.order.merchant, "refund", {**told, "amount": amount}, at)


def build_notification(pay: "WeChatPay", merchant: Merchant, kind: str, plain: Json, at: int) -> "SignedMessage":
    nonce = secrets.token_hex(6)
    sealed = AESGCM(merchant.key.encode()).encrypt(nonce.encode(), _to_json(plain), kind.encode())
    state = plain.get("refund_status", "SUCCESS")
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
                "ciphertext": base64.b64encode(sealed).decode(),
                "associated_data": kind,
                "nonce": nonce,
            },
        }
    )
    return {"Content-Type": "application/json", **build_signature_headers(pay, body, at)}, body


def build_signature_headers(pay: "WeChatPay", body: bytes, at: int) -> dict[str, str]:
    """The headers that prove a body to be WeChat's, unless it lies."""
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
    said = {
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
        return said
    return {
        **said,
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
        "status": refund.state,
        "amount": {**amount, "currency": "CNY"},
        **({"success_time": _format_time(refund.settled_at)} if refund.state == "SUCCESS" else {}),
    }


def _to_json(said: Json) -> bytes:
    return json.dumps(said, ensure_ascii=False).encode()


def _format_time(at: int) -> str:
    return clock.format_wire_time(at).replace(" ", "T") + "+08:00"
