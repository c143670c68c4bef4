"""WeChat Pay v2 as its own side speaks it."""

import base64
import hashlib
import hmac
import secrets
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import HMAC, MD5, V2, Merchant
from devstack import wechat_pay_rules
from devstack.wechat_pay_rules import Answer, Asked, Order, Refund, Wrong

if TYPE_CHECKING:
    from devstack.wechat_pay import Signed, WeChatPay

Fields = Mapping[str, str]
XML = {"Content-Type": "text/xml"}
CODES = {"ORDER_NOT_EXIST": "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS": "REFUNDNOTEXIST", "ORDER_CLOSED": "ORDERCLOSED"}
STATES = {"CLOSED": "REFUNDCLOSE", "ABNORMAL": "CHANGE"}
PATHS = {
    "/pay/unifiedorder": "prepay",
    "/pay/orderquery": "query",
    "/pay/closeorder": "close",
    "/secapi/pay/refund": "refund",
    "/pay/refundquery": "query_refund",
}


def answer(pay: "WeChatPay", asked: Asked) -> Answer:
    action = PATHS.get(asked.path, "")
    with pay.lock:
        pay.calls[action] += 1
    failing = pay.failing.get(action)
    if failing == "":
        return 200, b"<html>busy</html>", {}
    if isinstance(failing, int):
        return failing, b"", {}
    try:
        merchant, fields = authorized(pay, asked)
    except Wrong as wrong:
        return 200, _xml({"return_code": "FAIL", "return_msg": wrong.code}), XML
    try:
        with pay.lock:
            if failing:
                raise Wrong(failing)
            said = {"result_code": "SUCCESS", **ACTIONS[action](pay, merchant, fields)}
    except Wrong as wrong:
        said = {"result_code": "FAIL", "err_code": CODES.get(wrong.code, wrong.code), "err_code_des": wrong.message}
    return 200, signed(pay, merchant, {"return_code": "SUCCESS", "return_msg": "OK", **said}), XML


def authorized(pay: "WeChatPay", asked: Asked) -> tuple[Merchant, Fields]:
    fields = {one.tag: one.text or "" for one in ET.fromstring(asked.body)}
    merchant = pay.merchants.get(fields.get("mch_id", ""))
    if asked.path not in PATHS or merchant is None or merchant.version != V2 or fields["appid"] != merchant.appid:
        raise Wrong("appid与mch_id不匹配")
    if fields["sign"] != sign(merchant.key, fields, fields.get("sign_type", MD5)):
        raise Wrong("签名错误")
    wants = ssl.PEM_cert_to_DER_cert(merchant.certificate) if asked.path.startswith("/secapi/") else None
    if wants and wants != asked.certificate and pay.url.startswith("https:"):
        raise Wrong("证书验证失败")
    return merchant, fields


def prepay(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    if fields["trade_type"] != "JSAPI" or len(fields["time_expire"]) != 14 or not fields["spbill_create_ip"]:
        raise Wrong("PARAM_ERROR")
    order = Order(
        merchant,
        fields["out_trade_no"],
        fields["body"],
        int(fields["total_fee"]),
        fields["openid"],
        fields["notify_url"],
        fields["time_expire"],
    )
    return {"trade_type": "JSAPI", "prepay_id": wechat_pay_rules.place(pay, order).prepay_id}


def query(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    order = wechat_pay_rules.order_of(pay, merchant, fields["out_trade_no"])
    said = {"out_trade_no": order.out_trade_no, "trade_state": order.state, "total_fee": str(order.fee)}
    return {**said, **_payment(order)} if order.paid_at else said


def close(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    wechat_pay_rules.close(pay, merchant, fields["out_trade_no"])
    return {}


def refund(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    order = wechat_pay_rules.order_of(pay, merchant, fields["out_trade_no"])
    wanted = Refund(
        order, fields["out_refund_no"], int(fields["refund_fee"]), fields["refund_desc"], fields.get("notify_url", "")
    )
    made = wechat_pay_rules.refund(pay, merchant, order.out_trade_no, int(fields["total_fee"]), wanted)
    return {"out_refund_no": made.out_refund_no, "refund_id": made.refund_id, "refund_fee": str(made.fee)}


def query_refund(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    made = wechat_pay_rules.refund_of(pay, merchant, fields["out_refund_no"])
    return {
        "refund_count": "1",
        "out_refund_no_0": made.out_refund_no,
        "refund_id_0": made.refund_id,
        "refund_fee_0": str(made.fee),
        "refund_status_0": STATES.get(made.state, made.state),
    }


ACTIONS: dict[str, Callable[["WeChatPay", Merchant, Fields], Fields]] = {
    "prepay": prepay,
    "query": query,
    "close": close,
    "refund": refund,
    "query_refund": query_refund,
}


def paid_notice(pay: "WeChatPay", order: Order) -> "Signed":
    said = {"return_code": "SUCCESS", "result_code": "SUCCESS", "is_subscribe": "Y", "trade_type": "JSAPI"}
    told = {**said, "out_trade_no": order.out_trade_no, **_payment(order), "total_fee": str(order.fee)}
    return XML, signed(pay, order.merchant, told)


def refund_notice(refund: Refund) -> "Signed":
    merchant = refund.order.merchant
    told = {
        "out_refund_no": refund.out_refund_no,
        "out_trade_no": refund.order.out_trade_no,
        "refund_fee": str(refund.fee),
        "refund_id": refund.refund_id,
        "refund_status": STATES.get(refund.state, refund.state),
        "success_time": clock.format_wire_time(refund.settled_at) if refund.state == "SUCCESS" else "",
        "total_fee": str(refund.order.fee),
        "transaction_id": refund.order.transaction_id,
    }
    said = {"return_code": "SUCCESS", "appid": merchant.appid, "mch_id": merchant.mch_id}
    return XML, _xml({**said, "nonce_str": secrets.token_hex(16), "req_info": sealed(merchant.key, _xml(told, "root"))})


def sealed(key: str, plain: bytes) -> str:
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(hashlib.md5(key.encode()).hexdigest().encode()), modes.ECB()).encryptor()
    return base64.b64encode(encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()).decode()


def signed(pay: "WeChatPay", merchant: Merchant, said: Fields) -> bytes:
    """An XML that is proven to be WeChat's, unless it lies."""
    fields = {"appid": merchant.appid, "mch_id": merchant.mch_id, "nonce_str": secrets.token_hex(16), **said}
    if merchant.sign_type == HMAC:
        fields["sign_type"] = HMAC
    key = "0" * 32 if pay.lying else merchant.key
    return _xml({**fields, "sign": sign(key, fields, merchant.sign_type)})


def sign(key: str, fields: Fields, sign_type: str) -> str:
    told = [f"{name}={text}" for name, text in sorted(fields.items()) if text and name != "sign"]
    said = "&".join([*told, f"key={key}"]).encode()
    if sign_type == HMAC:
        return hmac.new(key.encode(), said, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(said).hexdigest().upper()


def _payment(order: Order) -> Fields:
    return {
        "openid": order.open_id,
        "bank_type": "OTHERS",
        "fee_type": "CNY",
        "cash_fee": str(order.fee),
        "transaction_id": order.transaction_id,
        "time_end": "".join(filter(str.isdigit, clock.format_wire_time(order.paid_at))),
    }


def _xml(fields: Fields, root: str = "xml") -> bytes:
    said = "".join(f"<{name}><![CDATA[{text}]]></{name}>" for name, text in fields.items())
    return f"<{root}>{said}</{root}>".encode()
