"""The server side of WeChat Pay API v2."""

import base64
import gzip
import hashlib
import hmac
import secrets
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant, SignType
from devstack.fakes import wechat_pay_bills, wechat_pay_rules
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
    "/pay/downloadbill": "trade_bill",
    "/pay/downloadfundflow": "fund_bill",
}
CERTIFICATE_PATHS = ("/secapi/", "/pay/downloadfundflow")
BILL_ERRORS = {"creating": "Bill Creating", "none": "No Bill Exist", "out of range": "invalid bill_date"}


def handle_request(pay: "WeChatPay", request: HttpRequest) -> HttpResponse:
    """Return the response to a request, or the configured failure."""
    action = ACTIONS_BY_PATH.get(request.path, "")
    with pay.lock:
        pay.calls[action] += 1
    failure = pay.failures.get(action)
    if failure == "":
        return 200, b"<html>busy</html>", {}
    if isinstance(failure, int):
        return failure, b"", {}
    try:
        merchant, fields = authenticate(pay, request)
    except WeChatPayError as error:
        return 200, _to_xml({"return_code": "FAIL", "return_msg": error.code}), XML_HEADERS
    if action in ("trade_bill", "fund_bill"):
        return _download_bill(pay, merchant, fields, action, failure)
    try:
        with pay.lock:
            if failure:
                raise WeChatPayError(failure)
            result = {"result_code": "SUCCESS", **ACTION_HANDLERS[action](pay, merchant, fields)}
    except WeChatPayError as error:
        result = {
            "result_code": "FAIL",
            "err_code": V2_ERROR_CODES.get(error.code, error.code),
            "err_code_des": error.message,
        }
    return 200, build_signed_xml(pay, merchant, {"return_code": "SUCCESS", "return_msg": "OK", **result}), XML_HEADERS


def authenticate(pay: "WeChatPay", request: HttpRequest) -> tuple[Merchant, Fields]:
    """Return the merchant that has signed a request, and its fields."""
    fields = {element.tag: element.text or "" for element in ET.fromstring(request.body)}
    merchant = pay.merchants.get(fields.get("mch_id", ""))
    if (
        request.path not in ACTIONS_BY_PATH
        or merchant is None
        or merchant.version != ApiVersion.V2
        or fields["appid"] != merchant.appid
    ):
        raise WeChatPayError("appid与mch_id不匹配")
    if fields["sign"] != compute_signature(merchant.key, fields, fields.get("sign_type", SignType.MD5)):
        raise WeChatPayError("签名错误")
    required_certificate = (
        ssl.PEM_cert_to_DER_cert(merchant.certificate) if request.path.startswith(CERTIFICATE_PATHS) else None
    )
    if required_certificate and required_certificate != request.certificate and pay.url.startswith("https:"):
        raise WeChatPayError("证书验证失败")
    return merchant, fields


def prepay(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    """Create an order."""
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
    """Return the state of an order."""
    order = wechat_pay_rules.get_order(pay, merchant, fields["out_trade_no"])
    result = {"out_trade_no": order.out_trade_no, "trade_state": order.state, "total_fee": str(order.fee)}
    return {**result, **_build_payment_fields(order)} if order.paid_at else result


def close(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    """Close an order."""
    wechat_pay_rules.close_order(pay, merchant, fields["out_trade_no"])
    return {}


def refund(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    """Create a refund."""
    order = wechat_pay_rules.get_order(pay, merchant, fields["out_trade_no"])
    requested = Refund(
        order, fields["out_refund_no"], int(fields["refund_fee"]), fields["refund_desc"], fields.get("notify_url", "")
    )
    refund = wechat_pay_rules.create_refund(pay, merchant, order.out_trade_no, int(fields["total_fee"]), requested)
    return {"out_refund_no": refund.out_refund_no, "refund_id": refund.refund_id, "refund_fee": str(refund.fee)}


def query_refund(pay: "WeChatPay", merchant: Merchant, fields: Fields) -> Fields:
    """Return the state of a refund."""
    refund = wechat_pay_rules.get_refund(pay, merchant, fields["out_refund_no"])
    return {
        "refund_count": "1",
        "out_refund_no_0": refund.out_refund_no,
        "refund_id_0": refund.refund_id,
        "refund_fee_0": str(refund.fee),
        "refund_status_0": V2_REFUND_STATES.get(refund.state, refund.state),
    }


ACTION_HANDLERS: dict[str, Callable[["WeChatPay", Merchant, Fields], Fields]] = {
    "prepay": prepay,
    "query": query,
    "close": close,
    "refund": refund,
    "query_refund": query_refund,
}


def _download_bill(
    pay: "WeChatPay", merchant: Merchant, fields: Fields, action: str, failure: str | None
) -> HttpResponse:
    """Return a bill, or an unsigned error in XML: its fields depend on the bill."""
    is_trade = action == "trade_bill"
    build = wechat_pay_bills.build_trade_bill if is_trade else wechat_pay_bills.build_fund_bill
    try:
        if failure:
            raise WeChatPayError(failure)
        if not is_trade and (fields["sign_type"], fields["account_type"]) != (SignType.HMAC_SHA256, "Basic"):
            raise WeChatPayError("PARAM_ERROR")
        day = datetime.strptime(fields["bill_date"], "%Y%m%d").date()  # of Shanghai
        content = b"\xef\xbb\xbf" + build(pay, merchant, day).encode()
    except (WeChatPayError, wechat_pay_bills.NoBillError) as error:
        text = BILL_ERRORS[error.reason] if isinstance(error, wechat_pay_bills.NoBillError) else error.code
        code = text.upper().replace(" ", "_")
        details = {"return_msg": text, "error_code": "20002"} if is_trade else {"result_code": "FAIL", "err_code": code}
        return 200, _to_xml({"return_code": "FAIL" if is_trade else "SUCCESS", **details}), XML_HEADERS
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    headers = {"Content-Type": "text/plain", **({} if is_trade else {"Digest": f"SHA={digest}"})}
    return 200, gzip.compress(content) if fields.get("tar_type") == "GZIP" else content, headers


def build_payment_notification(pay: "WeChatPay", order: Order) -> "SignedMessage":
    """Return the signed notification of a payment."""
    results = {"return_code": "SUCCESS", "result_code": "SUCCESS", "is_subscribe": "Y", "trade_type": "JSAPI"}
    amount = {**_build_payment_fields(order), "total_fee": str(order.fee)}
    fields = {**results, "out_trade_no": order.out_trade_no, **amount}
    return XML_HEADERS, build_signed_xml(pay, order.merchant, fields)


def build_refund_notification(refund: Refund) -> "SignedMessage":
    """Return the notification of a refund, which v2 encrypts but does not sign."""
    merchant = refund.order.merchant
    refund_info = {
        "out_refund_no": refund.out_refund_no,
        "out_trade_no": refund.order.out_trade_no,
        "refund_fee": str(refund.fee),
        "refund_id": refund.refund_id,
        "refund_status": V2_REFUND_STATES.get(refund.state, refund.state),
        "success_time": clock.format_wire_time(refund.settled_at) if refund.state == "SUCCESS" else "",
        "total_fee": str(refund.order.fee),
        "transaction_id": refund.order.transaction_id,
    }
    fields = {"return_code": "SUCCESS", "appid": merchant.appid, "mch_id": merchant.mch_id}
    return XML_HEADERS, _to_xml(
        {**fields, "nonce_str": secrets.token_hex(16), "req_info": encrypt(merchant.key, _to_xml(refund_info, "root"))}
    )


def encrypt(key: str, plaintext: bytes) -> str:
    """Return req_info of a refund notification: AES-256-ECB under the MD5 of the API key."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(hashlib.md5(key.encode()).hexdigest().encode()), modes.ECB()).encryptor()
    return base64.b64encode(
        encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    ).decode()


def build_signed_xml(pay: "WeChatPay", merchant: Merchant, content: Fields) -> bytes:
    """Return signed XML; with a wrong key if signs_with_wrong_key is set."""
    fields = {"appid": merchant.appid, "mch_id": merchant.mch_id, "nonce_str": secrets.token_hex(16), **content}
    if merchant.sign_type == SignType.HMAC_SHA256:
        fields["sign_type"] = SignType.HMAC_SHA256
    key = "0" * 32 if pay.signs_with_wrong_key else merchant.key
    return _to_xml({**fields, "sign": compute_signature(key, fields, merchant.sign_type)})


def compute_signature(key: str, fields: Fields, sign_type: str) -> str:
    """Return the signature over all non-empty fields."""
    pairs = [f"{name}={text}" for name, text in sorted(fields.items()) if text and name != "sign"]
    message = "&".join([*pairs, f"key={key}"]).encode()
    if sign_type == SignType.HMAC_SHA256:
        return hmac.new(key.encode(), message, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(message).hexdigest().upper()


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
    elements = "".join(f"<{name}><![CDATA[{text}]]></{name}>" for name, text in fields.items())
    return f"<{root}>{elements}</{root}>".encode()
