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
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant, SignType
from devstack.fakes import wechat_pay_rules
from devstack.fakes.wechat_pay_rules import HttpRequest, HttpResponse, Order, Refund, WeChatPayError

if TYPE_CHECKING:
    from devstack.fakes.wechat_pay import SignedMessage, WeChatPay

Fields = Mapping[str, str]
XML_HEADERS = {"Content-Type": "text/xml"}
V2_ERROR_CODES = {
    "ORDER_NOT_EXIST": "ORDERNOTEXIST",
    "RESOURCE_NOT_EXISTS": "REFUNDNOTEXIST",
    "ORDER_CLOSED": "ORDERCLOSED",
}
V2_REFUND_STATES = {"CLOSED": "REFUNDCLOSE", "ABNORMAL": "CHANGE"}
ACTIONS_BY_PATH = {
    "/pay/unifiedorder": "prepay",
    "/pay/orderquery": "query",
    "/pay/closeorder": "close",
    "/secapi/pay/refund": "refund",
    "/pay/refundquery": "query_refund",
}


def handle_request(pay: "WeChatPay", asked: HttpRequest) -> HttpResponse:
    action = ACTIONS_BY_PATH.get(asked.path, "")
    with pay.lock:
        pay.calls[action] += 1
    failing = pay.failures.get(action)
    if failing == "":
        return 200, b"<html>busy</html>", {}
    if isinstance(failing, int):
        return failing, b"", {}
    try:
        merchant, fields = authenticate(pay, asked)
    except WeChatPayError as wrong:
        return 200, _to_xml({"return_code": "FAIL", "return_msg": wrong.code}), XML_HEADERS
    try:
        with pay.lock:
            if failing:
                raise WeChatPayError(failing)
            said = {"result_code": "SUCCESS", **ACTION_HANDLERS[action](pay, merchant, fields)}
    except WeChatPayError as wrong:
        said = {
            "result_code": "FAIL",
            "err_code": V2_ERROR_CODES.get(wrong.code, wrong.code),
            "err_code_des": wrong.message,
        }
    return 200, build_signed_xml(pay, merchant, {"return_code": "SUCCESS", "return_msg": "OK", **said}), XML_HEADERS


def authenticate(pay: "WeChatPay", asked: HttpRequest) -> tuple[Merchant, Fields]:
    fields = {one.tag: one.text or "" for one in ET.fromstring(asked.body)}
    merchant = pay.merchants.get(fields.get("mch_id", ""))
    if (
        asked.path not in ACTIONS_BY_PATH
        or merchant is None
        or merchant.version != ApiVersion.V2
        or fields["appid"] != merchant.appid
    ):
        raise WeChatPayError("appid与mch_id不匹配")
    if fields["sign"] != compute_signature(merchant.key, fields, fields.get("sign_type", SignType.MD5)):
        raise WeChatPayError("签名错误")
    wants = ssl.PEM_cert_to_DER_cert(merchant.certificate) if asked.path.startswith("/secapi/") else None
    if wants and wants != asked.certificate and pay.url.startswith("https:"):
        raise WeChatPayError("证书验证失败")
    return merchant, fields


def prepay(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    if fields["trade_type"] != "JSAPI" or len(fields["time_expire"]) != 14 or not fields["spbill_create_ip"]:
        raise WeChatPayError("PARAM_ERROR")
    order = Order(
        merchant,
        fields["out_trade_no"],
        fields["body"],
        int(fields["total_fee"]),
        fields["openid"],
        fields["notify_url"],
        fields["time_expire"],
    )
    return {"trade_type": "JSAPI", "prepay_id": wechat_pay_rules.place_order(pay, order).prepay_id}


def query(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    order = wechat_pay_rules.get_order(pay, merchant, fields["out_trade_no"])
    said = {"out_trade_no": order.out_trade_no, "trade_state": order.state, "total_fee": str(order.fee)}
    return {**said, **_build_payment_fields(order)} if order.paid_at else said


def close(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    wechat_pay_rules.close_order(pay, merchant, fields["out_trade_no"])
    return {}


def refund(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    order = wechat_pay_rules.get_order(pay, merchant, fields["out_trade_no"])
    wanted = Refund(
        order, fields["out_refund_no"], int(fields["refund_fee"]), fields["refund_desc"], fields.get("notify_url", "")
    )
    made = wechat_pay_rules.create_refund(pay, merchant, order.out_trade_no, int(fields["total_fee"]), wanted)
    return {"out_refund_no": made.out_refund_no, "refund_id": made.refund_id, "refund_fee": str(made.fee)}


def query_refund(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    made = wechat_pay_rules.get_refund(pay, merchant, fields["out_refund_no"])
    return {
        "refund_count": "1",
        "out_refund_no_0": made.out_refund_no,
        "refund_id_0": made.refund_id,
        "refund_fee_0": str(made.fee),
        "refund_status_0": V2_REFUND_STATES.get(made.state, made.state),
    }


ACTION_HANDLERS: dict[str, Callable[["WeChatPay", Merchant, Fields], Fields]] = {
    "prepay": prepay,
    "query": query,
    "close": close,
    "refund": refund,
    "query_refund": query_refund,
}


def build_payment_notification(pay: "WeChatPay", order: Order) -> "SignedMessage":
    said = {"return_code": "SUCCESS", "result_code": "SUCCESS", "is_subscribe": "Y", "trade_type": "JSAPI"}
    told = {**said, "out_trade_no": order.out_trade_no, **_build_payment_fields(order), "total_fee": str(order.fee)}
    return XML_HEADERS, build_signed_xml(pay, order.merchant, told)


def build_refund_notification(refund: Refund) -> "SignedMessage":
    merchant = refund.order.merchant
    told = {
        "out_refund_no": refund.out_refund_no,
        "out_trade_no": refund.order.out_trade_no,
        "refund_fee": str(refund.fee),
        "refund_id": refund.refund_id,
        "refund_status": V2_REFUND_STATES.get(refund.state, refund.state),
        "success_time": clock.format_wire_time(refund.settled_at) if refund.state == "SUCCESS" else "",
        "total_fee": str(refund.order.fee),
        "transaction_id": refund.order.transaction_id,
    }
    said = {"return_code": "SUCCESS", "appid": merchant.appid, "mch_id": merchant.mch_id}
    return XML_HEADERS, _to_xml(
        {**said, "nonce_str": secrets.token_hex(16), "req_info": encrypt(merchant.key, _to_xml(told, "root"))}
    )


def encrypt(key: str, plain: bytes) -> str:
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(hashlib.md5(key.encode()).hexdigest().encode()), modes.ECB()).encryptor()
    return base64.b64encode(encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()).decode()


def build_signed_xml(pay: "WeChatPay", merchant: Merchant, said: Fields) -> bytes:
    """An XML that is proven to be WeChat's, unless it lies."""
    fields = {"appid": merchant.appid, "mch_id": merchant.mch_id, "nonce_str": secrets.token_hex(16), **said}
    if merchant.sign_type == SignType.HMAC_SHA256:
        fields["sign_type"] = SignType.HMAC_SHA256
    key = "0" * 32 if pay.signs_with_wrong_key else merchant.key
    return _to_xml({**fields, "sign": compute_signature(key, fields, merchant.sign_type)})


def compute_signature(key: str, fields: Fields, sign_type: str) -> str:
    told = [f"{name}={text}" for name, text in sorted(fields.items()) if text and name != "sign"]
    said = "&".join([*told, f"key={key}"]).encode()
    if sign_type == SignType.HMAC_SHA256:
        return hmac.new(key.encode(), said, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(said).hexdigest().upper()


def _build_payment_fields(order: Order) -> Fields:
    return {
        "openid": order.open_id,
        "bank_type": "OTHERS",
        "fee_type": "CNY",
        "cash_fee": str(order.fee),
        "transaction_id": order.transaction_id,
        "time_end": "".join(filter(str.isdigit, clock.format_wire_time(order.paid_at))),
    }


def _to_xml(fields: Fields, root: str = "xml") -> bytes:
    said = "".join(f"<{name}><![CDATA[{text}]]></{name}>" for name, text in fields.items())
    return f"<{root}>{said}</{root}>".encode()
