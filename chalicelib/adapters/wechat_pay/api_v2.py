"""WeChat Pay v2: flat XML, signed by MD5 or HMAC-SHA256 with one secret. https://pay.weixin.qq.com/doc/v2/merchant

Money goes back only over TLS with the merchant's own certificate: Merchant.certificate and private_key. Without them a
refund is refused here, as error CERT_MISSING; everything else works. A merchant's sign_type counts, never a message's.
"""

import secrets
from datetime import datetime
from html import escape

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay.shared_secret import Fields, decrypt_refund_info, has_valid_signature, sign
from chalicelib.adapters.wechat_pay.types import (
    ALREADY_REFUNDED_TEXT,
    SUCCESS,
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
from chalicelib.adapters.wechat_pay.xml import MalformedXmlError, parse_fields
from chalicelib.errors import ApiError
from chalicelib.settings import settings

ACKNOWLEDGEMENT = (
    "text/xml",
    b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>",
)
TIMEOUT_SECONDS = 5.0  # seconds of each step
CURRENCY = "CNY"
# They say no, but not that nothing was done.
INDETERMINATE_ERROR_CODES = frozenset({"SYSTEMERROR", "BIZERR_NEED_RETRY"})
REFUND_STATES = {SUCCESS: SUCCESS, "PROCESSING": "PROCESSING", "REFUNDCLOSE": "CLOSED", "CHANGE": "ABNORMAL"}


def prepay(merchant: Merchant, order: Order) -> OrderResult:
    said = _call(
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
    return _find_error(said) or parse_response(lambda: OrderResult(prepay_id=said["prepay_id"]))


def query_order(merchant: Merchant, out_trade_no: str) -> Trade:
    said = _call(merchant, "/pay/orderquery", {"out_trade_no": out_trade_no})
    if no := _find_error(said):
        _require_error_code(no, "ORDERNOTEXIST")
        return Trade("")
    if said.get("out_trade_no") != out_trade_no:
        raise WechatPayUnavailableError("of another order")
    return parse_response(
        lambda: Trade(
            state=said["trade_state"],
            transaction_id=said.get("transaction_id", ""),
            fee=_parse_fen(said.get("total_fee", "0")),
            currency=said.get("fee_type", CURRENCY),
            paid_at=_parse_time(said.get("time_end", "")),
            open_id=said.get("openid", ""),
        )
    )


def close_order(merchant: Merchant, out_trade_no: str) -> OrderResult:
    return _find_error(_call(merchant, "/pay/closeorder", {"out_trade_no": out_trade_no})) or OrderResult()


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> RefundResult:
    """A refund that WeChat takes is PROCESSING: its notice, or query_refund, says what became of it."""
    if not (merchant.certificate and merchant.private_key):
        return RefundResult("", error_code="CERT_MISSING", error_msg="the merchant's certificate is not set up")
    said = _call(
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
    if no := _find_error(said):
        needless = (
            said.get("return_code") == SUCCESS and ALREADY_REFUNDED_TEXT in no.error_msg
        )  # what else is said is not signed
        return RefundResult("", error_code=no.error_code, error_msg=no.error_msg, is_already_refunded=needless)
    if said.get("out_refund_no") != out_refund_no:
        raise WechatPayUnavailableError("of another refund")
    return parse_response(lambda: RefundResult("PROCESSING", said["refund_id"], _parse_fen(said["refund_fee"])))


def query_refund(merchant: Merchant, out_refund_no: str) -> RefundResult:
    said = _call(merchant, "/pay/refundquery", {"out_refund_no": out_refund_no})
    if no := _find_error(said):
        _require_error_code(no, "REFUNDNOTEXIST")
        return RefundResult("")
    if said.get("out_refund_no_0") != out_refund_no:
        raise WechatPayUnavailableError("of another refund")
    return parse_response(
        lambda: RefundResult(
            REFUND_STATES[said["refund_status_0"]], said["refund_id_0"], _parse_fen(said["refund_fee_0"])
        )
    )


def sign_page(merchant: Merchant, prepay_id: str, time_stamp: str, nonce: str) -> str:
    return sign(
        merchant,
        {
            "appId": merchant.appid,
            "timeStamp": time_stamp,
            "nonceStr": nonce,
            "package": f"prepay_id={prepay_id}",
            "signType": merchant.sign_type,
        },
    )


def parse_notification(merchant: Merchant, body: bytes) -> Notification:
    try:
        fields = parse_fields(body)
        if fields.get("return_code") != SUCCESS:
            raise InvalidNotificationError("tells nothing", 400)
        if "req_info" in fields:
            return _build_refund_notification(fields, decrypt_refund_info(merchant, fields["req_info"]))
        _verify(merchant, fields)
        return _build_payment_notification(fields)
    except (MalformedXmlError, ValueError, KeyError) as error:
        raise InvalidNotificationError("makes no sense", 400) from error


def _verify(merchant: Merchant, fields: Fields) -> None:
    # What is signed does not tell where a field ends: a text with & in it could be read as other fields.
    ambiguous = any("&" in text for text in fields.values())
    if (
        ambiguous
        or fields.get("sign_type", merchant.sign_type) != merchant.sign_type
        or not has_valid_signature(merchant, fields)
    ):
        raise InvalidNotificationError("not WeChat's signature")


def _build_payment_notification(fields: Fields) -> Notification:
    return Notification(
        kind=NotificationKind.PAYMENT,
        out_trade_no=fields["out_trade_no"],
        transaction_id=fields["transaction_id"],
        mch_id=fields["mch_id"],
        fee=_parse_fen(fields["total_fee"]),
        currency=fields.get("fee_type", CURRENCY),
        state=SUCCESS if fields["result_code"] == SUCCESS else "PAYERROR",
        occurred_at=_parse_time(fields.get("time_end", "")),
        appid=fields["appid"],
        open_id=fields["openid"],
    )


def _build_refund_notification(fields: Fields, told: Fields) -> Notification:
    return Notification(
        kind=NotificationKind.REFUND,
        out_trade_no=told["out_trade_no"],
        transaction_id=told["transaction_id"],
        mch_id=fields["mch_id"],
        fee=_parse_fen(told["refund_fee"]),
        currency=CURRENCY,
        state=REFUND_STATES[told["refund_status"]],
        occurred_at=_parse_time(told.get("success_time", "")),
        appid=fields["appid"],
        out_refund_no=told["out_refund_no"],
        refund_id=told["refund_id"],
        is_signed=False,
    )


def _call(merchant: Merchant, path: str, asked: Fields, certificate: str = "") -> Fields:
    """Return what WeChat says, and has signed; that it understood nothing (return_code) need not be signed."""
    ours = {"appid": merchant.appid, "mch_id": merchant.mch_id, "sign_type": merchant.sign_type}
    fields = {**asked, **ours, "nonce_str": secrets.token_hex(16)}
    fields["sign"] = sign(merchant, fields)
    content = "".join(f"<{name}>{escape(text, quote=False)}</{name}>" for name, text in fields.items() if text)
    url, headers = f"{settings.wechat_pay_url}{path}", {"Content-Type": "text/xml", "User-Agent": "zhenxun"}
    body = f"<xml>{content}</xml>".encode()
    try:
        status, _, answer = https.send_request(
            "POST", url, headers, body, timeout=TIMEOUT_SECONDS, certificate=certificate
        )
        said = parse_fields(answer)
    except (ApiError, MalformedXmlError) as error:
        raise WechatPayUnavailableError(str(error)) from error
    if status != 200 or (said.get("return_code") == SUCCESS and not has_valid_signature(merchant, said)):
        raise WechatPayUnavailableError("not WeChat's signature")
    if said.get("err_code") in INDETERMINATE_ERROR_CODES:
        raise WechatPayUnavailableError(said["err_code"])
    return said


def _find_error(said: Fields) -> OrderResult | None:
    if said.get("return_code") != SUCCESS:
        return OrderResult(said.get("return_code") or "FAIL", said.get("return_msg", ""))
    if said.get("result_code") != SUCCESS:
        return OrderResult(said.get("err_code") or "FAIL", said.get("err_code_des", ""))
    return None


def _require_error_code(no: OrderResult, code: str) -> None:
    if no.error_code != code:
        raise WechatPayUnavailableError(no.error_code)


def _parse_fen(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError("no fen")
    return int(text)


def _parse_time(text: str) -> int:
    """Of 20260105093000, or of 2026-01-05 09:30:00; both are Shanghai's."""
    if not text:
        return 0
    digits = "".join(filter(str.isdigit, text))
    civil = datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}")
    return int(civil.replace(tzinfo=clock.SHANGHAI).timestamp()) * clock.SECOND
