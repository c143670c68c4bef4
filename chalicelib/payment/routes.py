"""Paying for bookings through WeChat Pay (document 003): what patients' pages ask, and what WeChat tells."""

from chalicelib.errors import CONFLICT, NOT_FOUND, SIGNATURE, TOO_MANY_REQUESTS
from chalicelib.http.routing import OptionalTenantCaller, RawContent, RawRequest, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.payment import merchant_settings, orders, page_signatures, webhooks
from chalicelib.payment.models import OrderAsked, Ordered, PayConf, PayConfSaved, PaySign, PaySignAsked, TenantId

routes = Routes(__name__)
XML_CONTENT_TYPE = "text/xml"


@routes.post(
    "/pati_service/book_service/pay/appo_order",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, TOO_MANY_REQUESTS],
)
def appo_order(caller: Caller, body: OrderAsked) -> Ordered:
    """根据预约ID创建收费结算单同时调用微信统一支付协议进行下单

    Asked again for the same booking, it is the same order while that can be paid. Without a fee nothing is to be paid:
    the booking is paid at once, and prepay_id is "".
    """
    return orders.get_or_create(caller, body)


@routes.post("/pati_service/wx/jsapi/paysign", callers=[Role.PATIENT], errors=[NOT_FOUND])
def sign_payment(caller: Caller, body: PaySignAsked) -> PaySign:
    """微信js-sdk支付签名获取

    For the caller's own order that can still be paid, as appo_order has answered it.
    """
    return page_signatures.sign(caller, body)


@routes.post(
    "/pati_service/wechat/pay/notify/{tenantId}",
    callers=[Role.PUBLIC],
    errors=[NOT_FOUND, SIGNATURE],
    raw_content_type=XML_CONTENT_TYPE,
)
def told_of_payment(caller: OptionalTenantCaller, tenantId: TenantId, raw_request: RawRequest) -> RawContent:  # noqa: ARG001  # the signature says who
    """微信支付结果通知

    For WeChat Pay alone, which signs what it says. v3 is answered with an empty body, v2 with its XML.
    """
    return _acknowledge(webhooks.handle_payment(tenantId, raw_request.headers, raw_request.body))


@routes.post(
    "/pati_service/wechat/pay/refund_notify/{tenantId}",
    callers=[Role.PUBLIC],
    errors=[NOT_FOUND, SIGNATURE],
    raw_content_type=XML_CONTENT_TYPE,
)
def told_of_refund(caller: OptionalTenantCaller, tenantId: TenantId, raw_request: RawRequest) -> RawContent:  # noqa: ARG001  # as above
    """微信退款结果通知"""
    return _acknowledge(webhooks.handle_refund(tenantId, raw_request.headers, raw_request.body))


def _acknowledge(acknowledgement: webhooks.Acknowledgement) -> RawContent:
    content_type, body = acknowledgement
    return RawContent(content_type, body.decode())


@routes.get("/pati_service/wechat/pay_conf", callers=[Role.ADMIN])
def get_pay_conf(caller: Caller) -> PayConf:
    """微信支付商户配置获取

    Of the key only the last four characters are shown, of the private key none. All is "" where nothing was saved.
    """
    return merchant_settings.get(caller)


@routes.post("/pati_service/wechat/pay_conf", callers=[Role.ADMIN])
def save_pay_conf(caller: Caller, body: PayConfSaved) -> None:
    """微信支付商户配置保存

    What comes back as it was shown (it begins with ****) stays as it is. Another mch_id is another account: what was
    paid through the one before goes back through that.
    """
    merchant_settings.save(caller, body)
