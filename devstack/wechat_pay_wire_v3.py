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
from chalicelib.adapters.wechat_pay.types import V3, Merchant
from devstack import wechat_pay_keys, wechat_pay_rules
from devstack.wechat_pay_rules import FRESH, Answer, Asked, Order, Refund, Wrong

if TYPE_CHECKING:
    from devstack.wechat_pay import Signed, WeChatPay

Json = dict[str, Any]
SCHEME = "WECHATPAY2-SHA256-RSA2048 "
ORDER = "/v3/pay/transactions/out-trade-no/"
REFUNDS = "/v3/refund/domestic/refunds"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00")


def answer(pay: "WeChatPay", asked: Asked) -> Answer:
    path = urlsplit(asked.path).path
    action = _action(asked.method, path)
    with pay.lock:
        pay.calls[action] += 1
    failing = pay.failing.get(action)
    if failing == "":
        return 200, b"<html>busy</html>", {}
    if isinstance(failing, int):
        return failing, b"", {}
    try:
        with pay.lock:
            if failing:
                raise Wrong(failing)
            merchant = authorized(pay, asked)
            said = ACTIONS[action](pay, merchant, asked)
        status, body = (204, b"") if said is None else (200, _json(said))
    except Wrong as wrong:
        if wrong.status == 401:
            return 401, _json({"code": wrong.code, "message": "签名错误"}), {"Content-Type": "application/json"}
        status, body = wrong.status, _json({"code": wrong.code, "message": wrong.message})
    return status, body, {"Content-Type": "application/json; charset=utf-8", **signed(pay, body, clock.now())}


def _action(method: str, path: str) -> str:
    if path == "/v3/pay/transactions/jsapi":
        return "prepay"
    if path.startswith(ORDER):
        return "close" if method == "POST" and path.endswith("/close") else "query"
    return "refund" if method == "POST" else "query_refund"


def authorized(pay: "WeChatPay", asked: Asked) -> Merchant:
    """Who has signed this request, within five minutes. Raises Wrong."""
    scheme, fields = asked.headers.get("authorization", "").split(" ")[0] + " ", {}
    for pair in asked.headers.get("authorization", "")[len(scheme) :].split(","):
        name, _, value = pair.partition("=")
        fields[name.strip()] = value.strip('"')
    merchant = pay.merchants.get(fields.get("mchid", ""))
    if scheme != SCHEME or merchant is None or merchant.version != V3 or fields["serial_no"] != merchant.serial:
        raise Wrong("SIGN_ERROR", 401)
    said = f"{asked.method}\n{asked.path}\n{fields['timestamp']}\n{fields['nonce_str']}\n".encode() + asked.body + b"\n"
    try:
        key = wechat_pay_keys.public_key("merchant")
        key.verify(base64.b64decode(fields["signature"]), said, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        raise Wrong("SIGN_ERROR", 401) from None
    if abs(int(fields["timestamp"]) * clock.SECOND - clock.now()) > FRESH:
        raise Wrong("SIGN_ERROR", 401)
    if not asked.headers.get("user-agent") or asked.headers.get("accept") != "application/json":
        raise Wrong("PARAM_ERROR", 406)
    return merchant


def prepay(pay: "WeChatPay", merchant: Merchant, asked: Asked) -> Json:
    told = json.loads(asked.body)
    if (told["appid"], told["mchid"]) != (merchant.appid, merchant.mch_id):
        raise Wrong("APPID_MCHID_NOT_MATCH")
    if not INSTANT.fullmatch(told["time_expire"]) or told["amount"]["currency"] != "CNY":
        raise Wrong("PARAM_ERROR")
    order = Order(
        merchant,
        told["out_trade_no"],
        told["description"],
        told["amount"]["total"],
        told["payer"]["openid"],
        told["notify_url"],
        told["time_expire"],
    )
    return {"prepay_id": wechat_pay_rules.place(pay, order).prepay_id}


def query(pay: "WeChatPay", merchant: Merchant, asked: Asked) -> Json:
    parts = urlsplit(asked.path)
    if parse_qs(parts.query) != {"mchid": [merchant.mch_id]}:
        raise Wrong("PARAM_ERROR")
    return _trade(wechat_pay_rules.order_of(pay, merchant, parts.path.removeprefix(ORDER)))


def close(pay: "WeChatPay", merchant: Merchant, asked: Asked) -> None:
    if json.loads(asked.body) != {"mchid": merchant.mch_id}:
        raise Wrong("PARAM_ERROR")
    wechat_pay_rules.close(pay, merchant, asked.path.removeprefix(ORDER).removesuffix("/close"))


def refund(pay: "WeChatPay", merchant: Merchant, asked: Asked) -> Json:
    told, amount = json.loads(asked.body), json.loads(asked.body)["amount"]
    order = wechat_pay_rules.order_of(pay, merchant, told["out_trade_no"])
    wanted = Refund(order, told["out_refund_no"], amount["refund"], told["reason"], told.get("notify_url", ""))
    return _refund(wechat_pay_rules.refund(pay, merchant, told["out_trade_no"], amount["total"], wanted))


def query_refund(pay: "WeChatPay", merchant: Merchant, asked: Asked) -> Json:
    return _refund(wechat_pay_rules.refund_of(pay, merchant, asked.path.removeprefix(f"{REFUNDS}/")))


ACTIONS: dict[str, Callable[["WeChatPay", Merchant, Asked], Json | None]] = {
    "prepay": prepay,
    "query": query,
    "close": close,
    "refund": refund,
    "query_refund": query_refund,
}


def paid_notice(pay: "WeChatPay", order: Order, at: int) -> "Signed":
    return notice(pay, order.merchant, "transaction", _trade(order), at)


def refund_notice(pay: "WeChatPay", refund: Refund, at: int) -> "Signed":
    said = {**_refund(refund), "mchid": refund.order.merchant.mch_id, "refund_status": refund.state}
    amount = {name: value for name, value in said["amount"].items() if name != "currency"}
    told = {name: value for name, value in said.items() if name != "status"}
    return notice(pay, refund.order.merchant, "refund", {**told, "amount": amount}, at)


def notice(pay: "WeChatPay", merchant: Merchant, kind: str, plain: Json, at: int) -> "Signed":
    nonce = secrets.token_hex(6)
    sealed = AESGCM(merchant.key.encode()).encrypt(nonce.encode(), _json(plain), kind.encode())
    state = plain.get("refund_status", "SUCCESS")
    body = _json(
        {
            "id": f"EV-{secrets.token_hex(12)}",
            "create_time": _instant(at),
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
    return {"Content-Type": "application/json", **signed(pay, body, at)}, body


def signed(pay: "WeChatPay", body: bytes, at: int) -> dict[str, str]:
    """The headers that prove a body to be WeChat's, unless it lies."""
    time_stamp, nonce = str(at // clock.SECOND), secrets.token_hex(16)
    signer = pay.signers[wechat_pay_keys.CERTIFICATE if pay.lying else pay.serial]
    signature = signer.sign(f"{time_stamp}\n{nonce}\n".encode() + body + b"\n")
    return {
        "Wechatpay-Serial": pay.serial,
        "Wechatpay-Timestamp": time_stamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }


def _trade(order: Order) -> Json:
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
        "success_time": _instant(order.paid_at),
    }


def _refund(refund: Refund) -> Json:
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
        **({"success_time": _instant(refund.settled_at)} if refund.state == "SUCCESS" else {}),
    }


def _json(said: Json) -> bytes:
    return json.dumps(said, ensure_ascii=False).encode()


def _instant(at: int) -> str:
    return clock.format_wire_time(at).replace(" ", "T") + "+08:00"
