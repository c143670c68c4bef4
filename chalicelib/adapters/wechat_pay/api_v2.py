"""WeChat Pay v2: flat XML, signed by MD5 or HMAC-SHA256 with one secret. https://pay.weixin.qq.com/doc/v2/merchant

Money goes back only over TLS with the merchant's own certificate: Merchant.certificate and private_key. Without them a
refund is refused here, as error CERT_MISSING; everything else works. A merchant's sign_type counts, never a message's.
"""

import secrets
from datetime import datetime
from html import escape

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay.shared_secret import Fields, opened, signature, signed
from chalicelib.adapters.wechat_pay.types import (
    ALL_BACK,
    PAID,
    REFUNDED,
    SUCCESS,
    Answer,
    BadNotice,
    Merchant,
    Notice,
    Order,
    Refund,
    Trade,
    Unreachable,
    made,
)
from chalicelib.adapters.wechat_pay.xml import Malformed, fields_of
from chalicelib.errors import Refused
from chalicelib.settings import settings

ACKNOWLEDGEMENT = (
    "text/xml",
    b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>",
)
TIMEOUT = 5.0  # seconds of each step
CURRENCY = "CNY"
# They say no, but not that nothing was done.
UNSURE = frozenset({"SYSTEMERROR", "BIZERR_NEED_RETRY"})
REFUND_STATES = {SUCCESS: SUCCESS, "PROCESSING": "PROCESSING", "REFUNDCLOSE": "CLOSED", "CHANGE": "ABNORMAL"}


def prepay(merchant: Merchant, order: Order) -> Answer:
    said = _asked(
        merchant,
        "/pay/unifiedorder",
        {
            "body": order.description.encode()[:127].decode(errors="ignore"),
            "out_trade_no": order.out_trade_no,
            "total_fee": str(order.fee),
            "spbill_create_ip": order.client_ip,
            "time_expire": "".join(filter(str.isdigit, clock.wire(order.expires_at))),
            "notify_url": order.notify_url,
            "trade_type": "JSAPI",
            "openid": order.open_id,
        },
    )
    return _refused(said) or made(lambda: Answer(prepay_id=said["prepay_id"]))


def query(merchant: Merchant, out_trade_no: str) -> Trade:
    said = _asked(merchant, "/pay/orderquery", {"out_trade_no": out_trade_no})
    if no := _refused(said):
        _expect(no, "ORDERNOTEXIST")
        return Trade("")
    if said.get("out_trade_no") != out_trade_no:
        raise Unreachable("of another order")
    return made(
        lambda: Trade(
            state=said["trade_state"],
            transaction_id=said.get("transaction_id", ""),
            fee=_fen(said.get("total_fee", "0")),
            currency=said.get("fee_type", CURRENCY),
            paid_at=_instant(said.get("time_end", "")),
            open_id=said.get("openid", ""),
        )
    )


def close(merchant: Merchant, out_trade_no: str) -> Answer:
    return _refused(_asked(merchant, "/pay/closeorder", {"out_trade_no": out_trade_no})) or Answer()


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> Refund:
    """A refund that WeChat takes is PROCESSING: its notice, or query_refund, says what became of it."""
    if not (merchant.certificate and merchant.private_key):
        return Refund("", error_code="CERT_MISSING", error_msg="the merchant's certificate is not set up")
    said = _asked(
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
    if no := _refused(said):
        needless = said.get("return_code") == SUCCESS and ALL_BACK in no.error_msg  # what else is said is not signed
        return Refund("", error_code=no.error_code, error_msg=no.error_msg, is_needless=needless)
    if said.get("out_refund_no") != out_refund_no:
        raise Unreachable("of another refund")
    return made(lambda: Refund("PROCESSING", said["refund_id"], _fen(said["refund_fee"])))


def query_refund(merchant: Merchant, out_refund_no: str) -> Refund:
    said = _asked(merchant, "/pay/refundquery", {"out_refund_no": out_refund_no})
    if no := _refused(said):
        _expect(no, "REFUNDNOTEXIST")
        return Refund("")
    if said.get("out_refund_no_0") != out_refund_no:
        raise Unreachable("of another refund")
    return made(lambda: Refund(REFUND_STATES[said["refund_status_0"]], said["refund_id_0"], _fen(said["refund_fee_0"])))


def page_signature(merchant: Merchant, prepay_id: str, time_stamp: str, nonce: str) -> str:
    return signature(
        merchant,
        {
            "appId": merchant.appid,
            "timeStamp": time_stamp,
            "nonceStr": nonce,
            "package": f"prepay_id={prepay_id}",
            "signType": merchant.sign_type,
        },
    )


def read_notice(merchant: Merchant, body: bytes) -> Notice:
    try:
        fields = fields_of(body)
        if fields.get("return_code") != SUCCESS:
            raise BadNotice("tells nothing", 400)
        if "req_info" in fields:
            return _refund_notice(fields, opened(merchant, fields["req_info"]))
        _prove(merchant, fields)
        return _paid_notice(fields)
    except (Malformed, ValueError, KeyError) as error:
        raise BadNotice("makes no sense", 400) from error


def _prove(merchant: Merchant, fields: Fields) -> None:
    # What is signed does not tell where a field ends: a text with & in it could be read as other fields.
    ambiguous = any("&" in text for text in fields.values())
    if ambiguous or fields.get("sign_type", merchant.sign_type) != merchant.sign_type or not signed(merchant, fields):
        raise BadNotice("not WeChat's signature")


def _paid_notice(fields: Fields) -> Notice:
    return Notice(
        kind=PAID,
        out_trade_no=fields["out_trade_no"],
        transaction_id=fields["transaction_id"],
        mch_id=fields["mch_id"],
        fee=_fen(fields["total_fee"]),
        currency=fields.get("fee_type", CURRENCY),
        state=SUCCESS if fields["result_code"] == SUCCESS else "PAYERROR",
        at=_instant(fields.get("time_end", "")),
        appid=fields["appid"],
        open_id=fields["openid"],
    )


def _refund_notice(fields: Fields, told: Fields) -> Notice:
    return Notice(
        kind=REFUNDED,
        out_trade_no=told["out_trade_no"],
        transaction_id=told["transaction_id"],
        mch_id=fields["mch_id"],
        fee=_fen(told["refund_fee"]),
        currency=CURRENCY,
        state=REFUND_STATES[told["refund_status"]],
        at=_instant(told.get("success_time", "")),
        appid=fields["appid"],
        out_refund_no=told["out_refund_no"],
        refund_id=told["refund_id"],
        signed=False,
    )


def _asked(merchant: Merchant, path: str, asked: Fields, certificate: str = "") -> Fields:
    """Return what WeChat says, and has signed; that it understood nothing (return_code) need not be signed."""
    ours = {"appid": merchant.appid, "mch_id": merchant.mch_id, "sign_type": merchant.sign_type}
    fields = {**asked, **ours, "nonce_str": secrets.token_hex(16)}
    fields["sign"] = signature(merchant, fields)
    content = "".join(f"<{name}>{escape(text, quote=False)}</{name}>" for name, text in fields.items() if text)
    url, headers = f"{settings.wechat_pay_url}{path}", {"Content-Type": "text/xml", "User-Agent": "zhenxun"}
    body = f"<xml>{content}</xml>".encode()
    try:
        status, _, answer = https.call("POST", url, headers, body, timeout=TIMEOUT, certificate=certificate)
        said = fields_of(answer)
    except (Refused, Malformed) as error:
        raise Unreachable(str(error)) from error
    if status != 200 or (said.get("return_code") == SUCCESS and not signed(merchant, said)):
        raise Unreachable("not WeChat's signature")
    if said.get("err_code") in UNSURE:
        raise Unreachable(said["err_code"])
    return said


def _refused(said: Fields) -> Answer | None:
    if said.get("return_code") != SUCCESS:
        return Answer(said.get("return_code") or "FAIL", said.get("return_msg", ""))
    if said.get("result_code") != SUCCESS:
        return Answer(said.get("err_code") or "FAIL", said.get("err_code_des", ""))
    return None


def _expect(no: Answer, code: str) -> None:
    if no.error_code != code:
        raise Unreachable(no.error_code)


def _fen(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError("no fen")
    return int(text)


def _instant(text: str) -> int:
    """Of 20260105093000, or of 2026-01-05 09:30:00; both are Shanghai's."""
    if not text:
        return 0
    digits = "".join(filter(str.isdigit, text))
    civil = datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}")
    return int(civil.replace(tzinfo=clock.SHANGHAI).timestamp()) * clock.SECOND
