"""WeChat Pay API v2: flat XML, signed by MD5 or HMAC-SHA256 with the API key.

A refund requires TLS with the merchant's own certificate (Merchant.certificate and private_key). Without them `refund`
returns the error CERT_MISSING; everything else works. Signatures are always created and verified with the sign_type
of the merchant, never with that of a message.

Source: https://pay.weixin.qq.com/doc/v2/merchant
"""

import secrets
from dataclasses import replace
from datetime import date, datetime
from html import escape
from typing import BinaryIO

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.strict_xml import MalformedXmlError
from chalicelib.adapters.wechat_pay import bill_files
from chalicelib.adapters.wechat_pay.shared_secret import Fields, decrypt_refund_info, has_valid_signature, sign
from chalicelib.adapters.wechat_pay.types import (
    ALREADY_REFUNDED_TEXT,
    CURRENCY,
    SUCCESS,
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
    SignType,
    Trade,
    TradeState,
    WechatPayUnavailableError,
    parse_response,
)
from chalicelib.adapters.wechat_pay.xml import parse_fields
from chalicelib.errors import ApiError
from chalicelib.settings import settings

ACKNOWLEDGEMENT = (
    "text/xml",
    b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>",
)
TIMEOUT_SECONDS = 5.0  # for connecting, and for each read
# Errors after which the request may have been carried out nevertheless.
INDETERMINATE_ERROR_CODES = frozenset({"SYSTEMERROR", "BIZERR_NEED_RETRY"})
CONTENT_HEADERS = {"Content-Type": "text/xml", "User-Agent": "zhenxun"}
# The documents write "NO Bill Exist" and NO_BILL_EXIST; downloadbill answers "No Bill Exist".
# Source: https://pay.weixin.qq.com/doc/v2/merchant/4011987833, https://pay.weixin.qq.com/doc/v2/merchant/4011939779
BILL_STATUSES = {
    "NO BILL EXIST": BillStatus.EMPTY,
    "NO_BILL_EXIST": BillStatus.EMPTY,
    "BILL CREATING": BillStatus.CREATING,
    "BILL_CREATING": BillStatus.CREATING,
}
REFUND_STATUSES = {
    "SUCCESS": RefundStatus.SUCCESS,
    "PROCESSING": RefundStatus.PROCESSING,
    "REFUNDCLOSE": RefundStatus.CLOSED,
    "CHANGE": RefundStatus.ABNORMAL,
}


def prepay(merchant: Merchant, order: Order) -> OrderResult:
    """Create an order; see client.prepay."""
    response = _call(
        merchant,
        "/pay/unifiedorder",
        {
            "body": order.description.encode()[:127].decode(errors="ignore"),
            "out_trade_no": order.out_trade_no,
            "total_fee": str(order.fee),
            "spbill_create_ip": order.client_ip,
            "time_expire": "".join(filter(str.isdigit, clock.format_wire_time(order.expires_at))),
            "notify_url": order.notify_url,
            "trade_type": "JSAPI",
            "openid": order.open_id,
        },
    )
    return _find_error(response) or parse_response(lambda: OrderResult(prepay_id=response["prepay_id"]))


def query_order(merchant: Merchant, out_trade_no: str) -> Trade:
    """Return the state of an order; see client.query_order."""
    response = _call(merchant, "/pay/orderquery", {"out_trade_no": out_trade_no})
    if error := _find_error(response):
        _require_error_code(error, "ORDERNOTEXIST")
        return Trade(TradeState.NOT_FOUND)
    if response.get("out_trade_no") != out_trade_no:
        raise WechatPayUnavailableError("response about another order")
    return parse_response(
        lambda: Trade(
            state=response["trade_state"],
            transaction_id=response.get("transaction_id", ""),
            fee=_parse_fen(response.get("total_fee", "0")),
            currency=response.get("fee_type", CURRENCY),
            paid_at=_parse_time(response.get("time_end", "")),
            open_id=response.get("openid", ""),
        )
    )


def close_order(merchant: Merchant, out_trade_no: str) -> OrderResult:
    """Close an unpaid order; see client.close_order."""
    return _find_error(_call(merchant, "/pay/closeorder", {"out_trade_no": out_trade_no})) or OrderResult()


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> RefundResult:
    """Request a refund; see client.refund.

    An accepted refund is PROCESSING. Its outcome follows with the notification or query_refund.
    """
    if not (merchant.certificate and merchant.private_key):
        return RefundResult(
            RefundStatus.NONE, error_code="CERT_MISSING", error_msg="the merchant's certificate is not set up"
        )
    response = _call(
        merchant,
        "/secapi/pay/refund",
        {
            "out_trade_no": out_trade_no,
            "out_refund_no": out_refund_no,
            "total_fee": str(total),
            "refund_fee": str(fee),
            "refund_desc": reason.encode()[:80].decode(errors="ignore"),
            "notify_url": notify_url,
        },
        certificate=f"{merchant.certificate}\n{merchant.private_key}",
    )
    if error := _find_error(response):
        # A response whose return_code is not SUCCESS is not signed, so its text is not trusted.
        is_signed = response.get("return_code") == SUCCESS
        return RefundResult(
            RefundStatus.NONE,
            error_code=error.error_code,
            error_msg=error.error_msg,
            is_already_refunded=is_signed and ALREADY_REFUNDED_TEXT in error.error_msg,
        )
    if response.get("out_refund_no") != out_refund_no:
        raise WechatPayUnavailableError("response about another refund")
    return parse_response(
        lambda: RefundResult(RefundStatus.PROCESSING, response["refund_id"], _parse_fen(response["refund_fee"]))
    )


def query_refund(merchant: Merchant, out_refund_no: str) -> RefundResult:
    """Return the state of a refund; see client.query_refund."""
    response = _call(merchant, "/pay/refundquery", {"out_refund_no": out_refund_no})
    if error := _find_error(response):
        _require_error_code(error, "REFUNDNOTEXIST")
        return RefundResult(RefundStatus.NONE)
    return parse_response(lambda: _find_refund(response, out_refund_no))


def _find_refund(response: Fields, out_refund_no: str) -> RefundResult:
    """Return a refund out of a response that may list several of the order."""
    for index in range(int(response["refund_count"])):
        if response[f"out_refund_no_{index}"] == out_refund_no:
            return RefundResult(
                REFUND_STATUSES[response[f"refund_status_{index}"]],
                response[f"refund_id_{index}"],
                _parse_fen(response[f"refund_fee_{index}"]),
            )
    raise ValueError("response about another refund")


def download_bill(merchant: Merchant, kind: BillKind, day: date, file: BinaryIO) -> BillDownload:
    """Write a bill to a file; see client.download_bill.

    The fund flow bill needs the merchant's certificate, and HMAC-SHA256 whatever the account's sign_type. Its header
    Digest has the SHA-1 of what is sent, so it is requested unpacked. The trade bill has none: its totals line, which
    bill_files reads, reveals a file that is cut off.
    """
    if kind == BillKind.TRADE:
        path, parameters = "/pay/downloadbill", {"bill_type": "ALL", "tar_type": "GZIP"}
        signer, certificate = merchant, ""
    else:
        path, parameters = "/pay/downloadfundflow", {"account_type": "Basic"}
        signer = replace(merchant, sign_type=SignType.HMAC_SHA256)
        certificate = f"{merchant.certificate}\n{merchant.private_key}"
    body = _build_body(signer, {"bill_date": f"{day:%Y%m%d}", **parameters})
    error = bill_files.download_and_unpack("POST", path, CONTENT_HEADERS, body, file, certificate=certificate)
    if not error:
        return BillDownload(BillStatus.READY)
    return _parse_bill_error(error)


def _parse_bill_error(content: bytes) -> BillDownload:
    """Return the status that an error response in XML stands for. It is not signed."""
    try:
        response = parse_fields(content)
    except MalformedXmlError as error:
        raise WechatPayUnavailableError("malformed response") from error
    code = response.get("err_code") or response.get("return_msg") or response.get("error_code") or "FAIL"
    if code.upper() in ("SYSTEMERROR", "SYSTEM ERROR"):
        raise WechatPayUnavailableError(code)
    return BillDownload(BILL_STATUSES.get(code.upper(), BillStatus.REJECTED), code)


def sign_page(merchant: Merchant, prepay_id: str, timestamp: str, nonce: str) -> str:
    """Return paySign; see client.sign_page, which checks the arguments."""
    return sign(
        merchant,
        {
            "appId": merchant.appid,
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": f"prepay_id={prepay_id}",
            "signType": merchant.sign_type,
        },
    )


def parse_notification(merchant: Merchant, body: bytes) -> Notification:
    """Verify and read a notification; see client.parse_notification."""
    try:
        fields = parse_fields(body)
        if fields.get("return_code") != SUCCESS:
            raise InvalidNotificationError("return_code is not SUCCESS", 400)
        if "req_info" in fields:
            return _build_refund_notification(fields, decrypt_refund_info(merchant, fields["req_info"]))
        _verify(merchant, fields)
        return _build_payment_notification(fields)
    except (MalformedXmlError, ValueError, KeyError) as error:
        raise InvalidNotificationError("malformed", 400) from error


def _verify(merchant: Merchant, fields: Fields) -> None:
    # The signed text does not delimit fields: a value that contains & could be read as several fields.
    is_ambiguous = any("&" in text for text in fields.values())
    if (
        is_ambiguous
        or fields.get("sign_type", merchant.sign_type) != merchant.sign_type
        or not has_valid_signature(merchant, fields)
    ):
        raise InvalidNotificationError("invalid signature")


def _build_payment_notification(fields: Fields) -> Notification:
    return Notification(
        kind=NotificationKind.PAYMENT,
        out_trade_no=fields["out_trade_no"],
        transaction_id=fields["transaction_id"],
        mch_id=fields["mch_id"],
        fee=_parse_fen(fields["total_fee"]),
        currency=fields.get("fee_type", CURRENCY),
        state=TradeState.SUCCESS if fields["result_code"] == SUCCESS else TradeState.PAYERROR,
        occurred_at=_parse_time(fields.get("time_end", "")),
        appid=fields["appid"],
        open_id=fields["openid"],
    )


def _build_refund_notification(fields: Fields, refund_info: Fields) -> Notification:
    return Notification(
        kind=NotificationKind.REFUND,
        out_trade_no=refund_info["out_trade_no"],
        transaction_id=refund_info["transaction_id"],
        mch_id=fields["mch_id"],
        fee=_parse_fen(refund_info["refund_fee"]),
        currency=CURRENCY,
        state=REFUND_STATUSES[refund_info["refund_status"]],
        occurred_at=_parse_time(refund_info.get("success_time", "")),
        appid=fields["appid"],
        out_refund_no=refund_info["out_refund_no"],
        refund_id=refund_info["refund_id"],
        is_signed=False,
    )


def _call(merchant: Merchant, path: str, parameters: Fields, certificate: str = "") -> Fields:
    """Return the fields of the response, whose signature is verified.

    A response whose return_code is not SUCCESS (WeChat Pay did not understand the request) need not be signed.
    """
    url, body = f"{settings.wechat_pay_url}{path}", _build_body(merchant, parameters)
    try:
        status, _, raw_response = https.send_request(
            "POST", url, CONTENT_HEADERS, body, timeout=TIMEOUT_SECONDS, certificate=certificate
        )
        response = parse_fields(raw_response)
    except (ApiError, MalformedXmlError) as error:
        raise WechatPayUnavailableError(str(error)) from error
    if status != 200 or (response.get("return_code") == SUCCESS and not has_valid_signature(merchant, response)):
        raise WechatPayUnavailableError("invalid signature")
    if response.get("err_code") in INDETERMINATE_ERROR_CODES:
        raise WechatPayUnavailableError(response["err_code"])
    return response


def _build_body(merchant: Merchant, parameters: Fields) -> bytes:
    own_fields = {"appid": merchant.appid, "mch_id": merchant.mch_id, "sign_type": merchant.sign_type}
    fields = {**parameters, **own_fields, "nonce_str": secrets.token_hex(16)}
    fields["sign"] = sign(merchant, fields)
    content = "".join(f"<{name}>{escape(text, quote=False)}</{name}>" for name, text in fields.items() if text)
    return f"<xml>{content}</xml>".encode()


def _find_error(response: Fields) -> OrderResult | None:
    if response.get("return_code") != SUCCESS:
        return OrderResult(response.get("return_code") or "FAIL", response.get("return_msg", ""))
    if response.get("result_code") != SUCCESS:
        return OrderResult(response.get("err_code") or "FAIL", response.get("err_code_des", ""))
    return None


def _require_error_code(error: OrderResult, code: str) -> None:
    if error.error_code != code:
        raise WechatPayUnavailableError(error.error_code)


def _parse_fen(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError("not an amount in fen")
    return int(text)


def _parse_time(text: str) -> int:
    """Return the µs of 20260105093000 or 2026-01-05 09:30:00, both in Shanghai's time; 0 for ""."""
    if not text:
        return 0
    digits = "".join(filter(str.isdigit, text))
    local_time = datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}")
    return int(local_time.replace(tzinfo=clock.SHANGHAI).timestamp()) * clock.SECOND
