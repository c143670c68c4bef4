"""Endpoints with which service staff and admins find what happened, without SQL."""

from chalicelib.admin import booking_list, exports, failed_jobs, payment_lists, ratings, refund_requests, sign_in_locks
from chalicelib.admin.booking_models import BookingListQuery, ListedBooking
from chalicelib.admin.export_models import ExportListRequest, ListExport
from chalicelib.admin.job_models import DropJobRequest, FailedJob, FailedJobListQuery, RetryJobRequest
from chalicelib.admin.payment_models import (
    LedgerEntry,
    LedgerQuery,
    ListedPayment,
    ListedRefund,
    PaymentListQuery,
    RefundListQuery,
)
from chalicelib.admin.ratings import ListedRating, RatingListQuery
from chalicelib.admin.refund_models import (
    ListedRefundRequest,
    RefundRequest,
    RefundRequestListQuery,
    RefundRequestReference,
    RefundRules,
    RejectRefundRequest,
)
from chalicelib.admin.sign_in_locks import UnlockSignInRequest
from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.http.pagination import ListPage
from chalicelib.http.routing import IdempotencyKeyHeader, Routes
from chalicelib.identity.callers import Caller, Role

routes = Routes(__name__)
DESK_ROLES = [Role.SERVICE_STAFF, Role.ADMIN]


@routes.get("/pati_service/manager_service/booking_list", callers=DESK_ROLES)
def list_bookings(caller: Caller, query: BookingListQuery) -> ListPage[ListedBooking]:
    """预约列表

    All bookings, cancelled ones with their reason, the latest day of visit first. The filters combine. A page
    continues with `before` = `next` of the page before.
    """
    return booking_list.list_bookings(caller.tenant_id, query)


@routes.get("/pati_service/manager_service/payment_list", callers=DESK_ROLES)
def list_payments(caller: Caller, query: PaymentListQuery) -> ListPage[ListedPayment]:
    """支付列表

    Orders at WeChat Pay, the newest first. `number` finds one by the number on a receipt; `unresolved` selects those
    whose state many queries of WeChat Pay have not determined.
    """
    return payment_lists.list_payments(caller.tenant_id, query)


@routes.get("/pati_service/manager_service/refund_list", callers=DESK_ROLES)
def list_refunds(caller: Caller, query: RefundListQuery) -> ListPage[ListedRefund]:
    """退款列表

    Refunds through WeChat Pay, the newest first. `unfinished` selects those that have not succeeded yet.
    """
    return payment_lists.list_refunds(caller.tenant_id, query)


@routes.get("/pati_service/manager_service/booking_ledger", callers=DESK_ROLES, errors=[NOT_FOUND])
def booking_ledger(caller: Caller, query: LedgerQuery) -> list[LedgerEntry]:
    """一次预约的支付流水

    Each step of its orders and their refunds, the oldest first.
    """
    return payment_lists.list_ledger(caller, query)


@routes.get("/pati_service/manager_service/failed_jobs", callers=[Role.ADMIN])
def list_failed_jobs(caller: Caller, query: FailedJobListQuery) -> ListPage[FailedJob]:
    """失败的后台任务

    Jobs that have failed for half a day and are not run again, the last failed first.
    """
    return failed_jobs.list_failed(caller.tenant_id, query)


@routes.post("/pati_service/manager_service/retry_job", callers=[Role.ADMIN], errors=[NOT_FOUND])
def retry_job(caller: Caller, body: RetryJobRequest) -> None:
    """重试失败的后台任务

    Fix the cause first. Retrying it again changes nothing.
    """
    failed_jobs.retry(caller, body)


@routes.post("/pati_service/manager_service/drop_job", callers=[Role.ADMIN], errors=[NOT_FOUND])
def drop_job(caller: Caller, body: DropJobRequest) -> None:
    """放弃失败的后台任务

    It is not run any more. Dropping it again changes nothing.
    """
    failed_jobs.drop(caller, body)


@routes.post("/pati_service/manager_service/request_refund", callers=DESK_ROLES, errors=[NOT_FOUND, CONFLICT])
def request_refund(caller: Caller, body: RefundRequest, idempotency_key: IdempotencyKeyHeader) -> ListedRefundRequest:
    """申请退款

    Of a part of what was paid for a booking, or all; the booking stays. Up to the amount of `refund_rules` it is
    refunded at once (`state` done); above it an admin other than the requester approves. Requests with one
    Idempotency-Key, and equal ones of one person within 5 s, are one refund.
    """
    return refund_requests.request_refund(caller, body, idempotency_key)


@routes.post("/pati_service/manager_service/approve_refund", callers=[Role.ADMIN], errors=[NOT_FOUND, CONFLICT])
def approve_refund(caller: Caller, body: RefundRequestReference) -> ListedRefundRequest:
    """批准退款

    Of another person's request. Approving it again changes nothing.
    """
    return refund_requests.approve(caller, body)


@routes.post("/pati_service/manager_service/reject_refund", callers=[Role.ADMIN], errors=[NOT_FOUND, CONFLICT])
def reject_refund(caller: Caller, body: RejectRefundRequest) -> ListedRefundRequest:
    """驳回退款

    Rejecting it again changes nothing.
    """
    return refund_requests.reject(caller, body)


@routes.get("/pati_service/manager_service/refund_requests", callers=DESK_ROLES)
def list_refund_requests(caller: Caller, query: RefundRequestListQuery) -> ListPage[ListedRefundRequest]:
    """退款申请列表

    The newest first. `state=pending` selects those that wait for approval.
    """
    return refund_requests.list_requests(caller.tenant_id, query)


@routes.get("/pati_service/manager_service/refund_rules", callers=[Role.ADMIN])
def refund_rules(caller: Caller) -> RefundRules:
    """查询退款规则"""
    return refund_requests.get_rules(caller)


@routes.post("/pati_service/manager_service/save_refund_rules", callers=[Role.ADMIN])
def save_refund_rules(caller: Caller, body: RefundRules) -> None:
    """设置退款规则

    Above which amount a refund needs a second person. Requests that wait are not affected.
    """
    refund_requests.save_rules(caller, body)


@routes.post("/pati_service/manager_service/export_list", callers=[Role.ADMIN])
def export_list(caller: Caller, body: ExportListRequest) -> ListExport:
    """导出列表

    As a CSV file (UTF-8 with a byte order mark), written by a job; `list_exports` has the link. A double click, and an
    equal request while one is pending, is one export.
    """
    return exports.request(caller, body)


@routes.get("/pati_service/manager_service/list_exports", callers=[Role.ADMIN])
def list_exports(caller: Caller) -> list[ListExport]:
    """我的导出

    The caller's newest twenty, with links to those that are ready. A file is deleted a day after it was written.
    """
    return exports.list_own(caller)


@routes.get("/pati_service/manager_service/rating_list", callers=[Role.ADMIN])
def list_ratings(caller: Caller, query: RatingListQuery) -> ListPage[ListedRating]:
    """评价列表

    Patients' ratings of messages, the newest first, with the member of staff who wrote the message.
    """
    return ratings.list_ratings(caller.tenant_id, query)


@routes.post("/pati_service/manager_service/unlock_sign_in", callers=[Role.ADMIN], errors=[NOT_FOUND])
def unlock_sign_in(caller: Caller, body: UnlockSignInRequest) -> None:
    """解除登录锁定

    Of an account or a member of staff, after too many wrong passwords. Lifting it again changes nothing.
    """
    sign_in_locks.unlock(caller, body)
