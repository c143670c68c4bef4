"""Endpoints of payment through WeChat Pay (document 003): for patients' pages, admins and WeChat Pay itself.

bill_routes.py has those of the reconciliation with WeChat Pay's daily bills.
"""

from chalicelib.errors import CONFLICT, INVALID_SIGNATURE, NOT_FOUND, TOO_MANY_REQUESTS
from chalicelib.http.routing import OptionalTenantCaller, RawContent, RawRequest
from chalicelib.identity.callers import Caller, Role
from chalicelib.payment import merchant_settings, orders, page_signatures, settling, webhooks
from chalicelib.payment.admin_models import PaymentReference, RefundReference, SettledRefund, SettleRefundRequest
from chalicelib.payment.bill_routes import routes
from chalicelib.payment.models import (
    OrderRequest,
    OrderResponse,
    PayConf,
    PaySign,
    PaySignRequest,
    SavePayConfRequest,
    TenantId,
)

XML_CONTENT_TYPE = "text/xml"


@routes.post(
    "/pati_service/book_service/pay/appo_order",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, TOO_MANY_REQUESTS],
)
def appo_order(caller: Caller, body: OrderRequest) -> OrderResponse:
    """根据预约ID创建收费结算单同时调用微信统一支付协议进行下单

    A repeated request for a booking returns the same order as long as it can be paid. A booking without a fee is marked
    paid at once: payment_required is false, and prepay_id is "". A 409 (paid, cancelled, missed, too late) has data as
    well, with error_code FAIL and error_msg.
    """
    return orders.get_or_create(caller, body)


@routes.post("/pati_service/wx/jsapi/paysign", callers=[Role.PATIENT], errors=[NOT_FOUND])
def sign_payment(caller: Caller, body: PaySignRequest) -> PaySign:
    """微信js-sdk支付签名获取

    Signs the caller's own order, as appo_order has returned it, while it can be paid.
    """
    return page_signatures.sign(caller, body)


@routes.post(
    "/pati_service/wechat/pay/notify/{tenantId}",
    callers=[Role.PUBLIC],
    errors=[NOT_FOUND, INVALID_SIGNATURE],
    raw_content_type=XML_CONTENT_TYPE,
)
def receive_payment(caller: OptionalTenantCaller, tenantId: TenantId, raw_request: RawRequest) -> RawContent:  # noqa: ARG001  # authenticated by the signature
    """微信支付结果通知

    Only for WeChat Pay, which signs its notifications. The response to v3 has an empty body, that to v2 is XML.
    """
    return _acknowledge(webhooks.handle_payment(tenantId, raw_request.headers, raw_request.body))


@routes.post(
    "/pati_service/wechat/pay/refund_notify/{tenantId}",
    callers=[Role.PUBLIC],
    errors=[NOT_FOUND, INVALID_SIGNATURE],
    raw_content_type=XML_CONTENT_TYPE,
)
def receive_refund(caller: OptionalTenantCaller, tenantId: TenantId, raw_request: RawRequest) -> RawContent:  # noqa: ARG001  # as above
    """微信退款结果通知"""
    return _acknowledge(webhooks.handle_refund(tenantId, raw_request.headers, raw_request.body))


@routes.post("/pati_service/manager_service/check_payment", callers=[Role.ADMIN], errors=[NOT_FOUND])
def check_payment(caller: Caller, body: PaymentReference) -> None:
    """立即核对一笔支付

    Queries WeChat Pay within a minute about an order that is neither paid nor closed.
    """
    settling.check_payment(caller, body)


@routes.post("/pati_service/manager_service/check_refund", callers=[Role.ADMIN], errors=[NOT_FOUND])
def check_refund(caller: Caller, body: RefundReference) -> None:
    """立即核对一笔退款

    Requests it again, or queries WeChat Pay about it, within a minute.
    """
    settling.check_refund(caller, body)


@routes.post("/pati_service/manager_service/settle_refund", callers=[Role.ADMIN], errors=[NOT_FOUND, CONFLICT])
def settle_refund(caller: Caller, body: SettleRefundRequest) -> SettledRefund:
    """人工了结一笔退款

    Of a refund that WeChat Pay has rejected, once the patient got the money in another way. WeChat Pay is queried
    before: if it has refunded meanwhile, nothing is to be paid (`by_wechat`). Settling it again changes nothing.
    """
    return settling.settle(caller, body)


def _acknowledge(acknowledgement: webhooks.Acknowledgement) -> RawContent:
    content_type, body = acknowledgement
    return RawContent(content_type, body.decode())


@routes.get("/pati_service/wechat/pay_conf", callers=[Role.ADMIN])
def get_pay_conf(caller: Caller) -> PayConf:
    """微信支付商户配置获取

    Of the key only the last four characters are shown, of the private key none. All fields are "" if nothing
    has been saved.
    """
    return merchant_settings.get(caller)


@routes.post("/pati_service/wechat/pay_conf", callers=[Role.ADMIN])
def save_pay_conf(caller: Caller, body: SavePayConfRequest) -> None:
    """微信支付商户配置保存

    A value that begins with ****, as the configuration shows it, leaves the stored one unchanged. Another mch_id is
    another account; payments made through the former account are refunded through that one.
    """
    merchant_settings.save(caller, body)
