"""Endpoints of the reconciliation with WeChat Pay's daily bills, for admins. routes.py has the others."""

from chalicelib.errors import NOT_FOUND
from chalicelib.http.fields import Page
from chalicelib.http.routing import Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.payment import bill_differences, bill_statements
from chalicelib.payment.bill_models import (
    Difference,
    DifferencesQuery,
    FetchBillRequest,
    ResolveDifferenceRequest,
    Statement,
    StatementsQuery,
)

routes = Routes(__name__)


@routes.get("/pati_service/wechat/pay_statements", callers=[Role.ADMIN])
def list_statements(caller: Caller, query: StatementsQuery) -> Page[Statement]:
    """微信支付日对账单

    A statement for each day of the hospital's merchant accounts, the newest first: payments, refunds by the day on
    which they were initiated, discounts, commission and net of WeChat's bill, our own sums, and the number of open
    differences. The bills of a day are fetched from 10:00 of the next day on.
    """
    return bill_statements.list_page(caller, query)


@routes.get("/pati_service/wechat/pay_differences", callers=[Role.ADMIN])
def list_differences(caller: Caller, query: DifferencesQuery) -> list[Difference]:
    """微信支付对账差异

    Each with what to do about it, the newest first. The next page begins before the last difference_id. A difference
    that a later comparison no longer finds is resolved by itself.
    """
    return bill_differences.list_page(caller, query)


@routes.post("/pati_service/wechat/resolve_difference", callers=[Role.ADMIN], errors=[NOT_FOUND])
def resolve_difference(caller: Caller, body: ResolveDifferenceRequest) -> Difference:
    """处理对账差异

    With a note; entered into the audit log. A difference that is resolved already stays as it is. It is opened again
    if its amounts change.
    """
    return bill_differences.resolve(caller, body)


@routes.post("/pati_service/wechat/fetch_bill", callers=[Role.ADMIN], errors=[NOT_FOUND])
def fetch_bill(caller: Caller, body: FetchBillRequest) -> Statement:
    """重新下载某日的微信支付账单

    Within five minutes; until then the statement has the state waiting and its former amounts. WeChat keeps bills for
    three months.
    """
    return bill_statements.request_fetch(caller, body)
