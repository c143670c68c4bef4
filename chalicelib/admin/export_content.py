"""The content of an export: the pages of a list as CSV, in UTF-8 with a byte order mark, which Excel needs.

One page is in memory at a time, and above MEMORY_BYTES the file is on the disk until it is complete.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from pydantic import ValidationError

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.admin import booking_list, failed_jobs, payment_lists, ratings, refund_requests
from chalicelib.admin.booking_models import BookingListQuery, ListedBooking
from chalicelib.admin.export_models import AuditExportQuery, ExportedAuditEntry, ListName
from chalicelib.admin.job_models import FailedJob, FailedJobListQuery
from chalicelib.admin.payment_models import ListedPayment, ListedRefund, PaymentListQuery, RefundListQuery
from chalicelib.admin.ratings import ListedRating, RatingListQuery
from chalicelib.admin.refund_models import ListedRefundRequest, RefundRequestListQuery
from chalicelib.audit import audit_log
from chalicelib.errors import ApiError
from chalicelib.http import pagination, validation
from chalicelib.http.fields import WireModel
from chalicelib.http.pagination import ListPage, ListQuery, Position

PAGE_SIZE = 100  # the largest that a list has
MAX_ROWS = 300_000  # so that a job ends within its lease
MEMORY_BYTES = 1024 * 1024
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

ListFunction = Callable[[int, Any], ListPage[Any]]


def normalize_filters(name: ListName, filters: Mapping[str, Any]) -> str:
    """Return valid filters as JSON in which equal ones are equal texts.

    Raises:
        ApiError: 400 for a filter that the list does not have, and for an invalid one.
    """
    query_model, _, _ = _get_list(name)
    allowed = set(query_model.model_fields) - {"before", "page_size"}
    unknown = sorted(set(filters) - allowed)
    if unknown:
        raise ApiError(errors.BAD_PARAMETER, f"filters：没有 {unknown[0][:64]} 这个条件")
    try:
        query = validation.parse_fields(query_model, filters)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise ApiError(errors.BAD_PARAMETER, f"filters：{field} 无效") from None
    return json.dumps(query.model_dump(mode="json", include=allowed, exclude_defaults=True), sort_keys=True)


def write_object(tenant_id: int, name: ListName, filters: Mapping[str, Any], object_key: str) -> tuple[int, bool]:
    """Write the CSV file of a list to S3; return its number of rows, and whether there were more."""
    with SpooledTemporaryFile(MEMORY_BYTES) as spooled:
        file = cast(BinaryIO, spooled)
        text = TextIOWrapper(file, "utf-8-sig", newline="", write_through=True)
        result = _write_rows(text, tenant_id, name, filters)
        text.flush()
        s3.put(object_key, file, file.tell(), "text/csv; charset=utf-8", f"{name}.csv")
        text.detach()
    return result


def _write_rows(file: TextIOWrapper, tenant_id: int, name: ListName, filters: Mapping[str, Any]) -> tuple[int, bool]:
    query_model, entry_model, list_page = _get_list(name)
    writer = csv.writer(file)
    writer.writerow([field.title or key for key, field in entry_model.model_fields.items()])
    number = 0
    for entry in _iter_entries(tenant_id, query_model.model_validate(filters), list_page):
        if number == MAX_ROWS:
            return number, True
        writer.writerow([_format_cell(value) for value in entry.model_dump().values()])
        number += 1
    return number, False


def _iter_entries(tenant_id: int, query: ListQuery, list_page: ListFunction) -> Iterator[WireModel]:
    query = query.model_copy(update={"page_size": PAGE_SIZE})
    while True:
        page = list_page(tenant_id, query)
        yield from page.list
        if not page.next:
            return
        query = query.model_copy(update={"before": page.next})


def _format_cell(value: Any) -> Any:
    """Return a value as a cell. A text that a spreadsheet would execute as a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _get_list(name: ListName) -> tuple[type[ListQuery], type[WireModel], ListFunction]:
    """Return the model of a list's filters, that of its entries, and the function that returns a page."""
    match name:
        case ListName.BOOKINGS:
            return BookingListQuery, ListedBooking, booking_list.list_bookings
        case ListName.PAYMENTS:
            return PaymentListQuery, ListedPayment, payment_lists.list_payments
        case ListName.REFUNDS:
            return RefundListQuery, ListedRefund, payment_lists.list_refunds
        case ListName.REFUND_REQUESTS:
            return RefundRequestListQuery, ListedRefundRequest, refund_requests.list_requests
        case ListName.FAILED_JOBS:
            return FailedJobListQuery, FailedJob, failed_jobs.list_failed
        case ListName.RATINGS:
            return RatingListQuery, ListedRating, ratings.list_ratings
        case ListName.AUDIT_LOG:
            return AuditExportQuery, ExportedAuditEntry, _list_audit_entries


def _list_audit_entries(tenant_id: int, query: AuditExportQuery) -> ListPage[ExportedAuditEntry]:
    bounds = query.bounds
    found = audit_log.list_entries(
        mysql.autocommit,
        tenant_id,
        before=bounds.before.row_id if bounds.before else None,
        limit=bounds.limit,
        actor=f"user:{query.user_id}" if query.user_id else "",
        key_id=query.key_id,
        action=query.action or "",
        subject=query.subject,
        since=query.since,
        until=query.until,
    )
    rows = [
        {
            "entry_id": one.entry_id,
            "time": clock.format_wire_time(one.at),
            "actor": one.actor,
            "actor_name": one.actor_name,
            "key_id": str(one.key_id or ""),
            "action": one.action,
            "subject": one.subject,
            "reason": one.reason,
            "detail": json.dumps(one.detail, ensure_ascii=False) if one.detail else "",
            "address": one.address,
        }
        for one in found
    ]
    return pagination.build_page(
        rows,
        bounds,
        lambda row: Position(0, row["entry_id"]),
        lambda row: ExportedAuditEntry(**{**row, "entry_id": str(row["entry_id"])}),
    )
