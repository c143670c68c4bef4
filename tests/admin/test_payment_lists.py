"""payment_list, refund_list and booking_ledger: what replaces the queries by SQL."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.admin import payment_store
from chalicelib.admin.payment_models import MoneyListQuery, PaymentListQuery, RefundListQuery
from chalicelib.billing.orders import OrderState
from tests.support.admin_client import list_all, list_pages, read_list
from tests.support.booking_client import create_department, get_iso_date
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout
from tests.support.query_plans import explain
from tests.support.row_reads import count_rows_of_statement

pytestmark = pytest.mark.store

LISTS = ("payment_list", "refund_list")


def list_ids(hospital: Hospital, name: str, **query: Any) -> list[str]:
    id_name = f"{name.partition('_')[0]}_id"
    return [one[id_name] for one in list_all(hospital.admin, name, **query)]


@pytest.fixture
def refunded(checkout: Checkout) -> Row:
    """A booking that was paid, cancelled and refunded; return its payment."""
    book_id = checkout.book_slot()
    payment = checkout.pay_and_notify(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.run_refund_jobs()
    return payment


def test_payment_and_refund_are_described(checkout: Checkout, refunded: Row) -> None:
    hospital = checkout.hospital
    [refund_row] = checkout.list_refunds(refunded["book_id"])
    for person in (hospital.admin, hospital.desk):
        [payment], [refund] = (list_all(person, name) for name in LISTS)
        for one in (payment, refund):
            assert (one["book_id"], one["fee"]) == (str(refunded["book_id"]), 12.5)
            assert (one["dept_name"], one["doctor_name"], one["pati_name"]) == ("呼吸内科", "陈医生", "林小雨")
        assert (payment["out_trade_no"], payment["transaction_id"]) == (
            refunded["out_trade_no"],
            refunded["transaction_id"],
        )
        assert (payment["state"], payment["refunded"], bool(payment["pay_time"])) == ("success", 12.5, True)
        assert (refund["out_refund_no"], refund["reason"], refund["state"], refund["paid"]) == (
            *(refund_row["out_refund_no"], "patient", refund_row["state"], 12.5),
        )


def test_filters(checkout: Checkout, refunded: Row) -> None:
    hospital = checkout.hospital
    [refund] = checkout.list_refunds(refunded["book_id"])
    other = create_department(hospital, "外科")
    schedule_id = other.create_schedule(date=get_iso_date(2), doctor_id=hospital.zhou.user_id, bookfee=8)
    book_id = other.book_slot(hospital.wang, schedule_id)
    checkout.request_order(book_id, hospital.wang)
    [open_order] = checkout.list_payments(book_id)
    [listed] = list_all(hospital.admin, "payment_list", book_id=refunded["book_id"])
    shared: list[dict[str, Any]] = [
        {"book_id": refunded["book_id"]},
        {"dept_id": checkout.department.dept_id},
        {"doctor_id": hospital.chen.user_id},
        {"pati_id": listed["pati_id"]},
        {"state": "success", "from_date": get_iso_date(0), "to_date": get_iso_date(0)},
    ]
    for query in [*shared, {"number": refunded["out_trade_no"]}, {"number": refunded["transaction_id"]}]:
        assert list_ids(hospital, "payment_list", **query) == [str(refunded["payment_id"])], query
    checkout.wechat_pay.settle_refund(refund["out_refund_no"])
    checkout.make_checks_due()
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(refunded["book_id"])
    for query in [*shared, {"number": refund["out_refund_no"]}, {"number": refund["wechat_id"]}]:
        assert list_ids(hospital, "refund_list", **query) == [str(refund["refund_id"])], query
    everything = [str(open_order["payment_id"]), str(refunded["payment_id"])]
    assert list_ids(hospital, "payment_list") == everything
    assert list_ids(hospital, "payment_list", state="created") == everything[:1]
    assert list_ids(hospital, "payment_list", to_date=get_iso_date(-1)) == []
    assert list_ids(hospital, "refund_list", unfinished="true") == []


@pytest.mark.usefixtures("refunded")
def test_unfinished_refund_and_unresolved_order_are_found(checkout: Checkout) -> None:
    hospital = checkout.hospital
    assert len(list_ids(hospital, "refund_list", unfinished="true")) == 1
    assert list_ids(hospital, "payment_list", unresolved="true") == []
    book_id = checkout.book_slot(date=get_iso_date(3))
    checkout.create_order(book_id)
    mysql.autocommit.execute("UPDATE payments SET checks = 6 WHERE book_id = %(id)s", id=book_id)
    [payment] = checkout.list_payments(book_id)
    assert list_ids(hospital, "payment_list", unresolved="true") == [str(payment["payment_id"])]


def test_ledger_of_a_booking_has_its_steps_in_order(checkout: Checkout, refunded: Row) -> None:
    ledger = read_list(checkout.hospital.desk, "booking_ledger", book_id=refunded["book_id"]).data
    assert [(one["event"], one["source"]) for one in ledger] == checkout.list_ledger()
    assert [bool(one["refund_id"]) for one in ledger] == [one["event"] in REFUND_EVENTS for one in ledger]
    assert {one["payment_id"] for one in ledger} == {str(refunded["payment_id"])}


REFUND_EVENTS = ("refund_created", "processing", "success")


def test_ledger_of_other_hospitals_and_unknown_bookings_is_not_found(
    checkout: Checkout, refunded: Row, other_hospital: Hospital
) -> None:
    for person, book_id in ((other_hospital.admin, refunded["book_id"]), (checkout.hospital.admin, 999_999_999)):
        response = read_list(person, "booking_ledger", book_id=book_id)
        assert (response.status, response.error) == (404, "预约不存在")
    for value in ("", "x", "-1"):
        assert read_list(checkout.hospital.admin, "booking_ledger", book_id=value).status == 400


@pytest.mark.usefixtures("refunded")
def test_who_may_not_read_them(checkout: Checkout, other_hospital: Hospital) -> None:
    for name in LISTS:
        assert list_all(other_hospital.admin, name) == []
    for name in (*LISTS, "booking_ledger"):
        for person in (checkout.hospital.lin, checkout.hospital.chen):
            assert read_list(person, name, book_id=1).status == 403


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "field", ["state", "number", "book_id", "dept_id", "doctor_id", "pati_id", "from_date", "before", "page_size"]
)
def test_invalid_filter_is_named(hospital: Hospital, name: str, field: str) -> None:
    response = read_list(hospital.admin, name, **{field: "-1"})
    assert (response.status, response.error.partition("：")[0]) == (400, field)


def insert_copies(table: str, tenant_id: int, number: int) -> None:
    """Insert rows that are like the tenant's first one, in pairs of the same minute, each older than the last."""
    columns = {
        "payments": "settlement_id, book_id, user_id, app_id, mch_id, sign_type, open_id, fee, state, expires_at",
        "refunds": "payment_id, book_id, fee, reason, state",
    }[table]
    number_column = {"payments": "out_trade_no", "refunds": "out_refund_no"}[table]
    own = {"payments": "live", "refunds": "number"}[table]
    row_id = f"{table[:-1]}_id"
    mysql.autocommit.execute_many(
        f"""
        INSERT INTO {table} (tenant_id, {columns}, check_at, {number_column}, {own}, created_at)
        SELECT tenant_id, {columns}, check_at, %(number)s, %(own)s, created_at - %(age)s
        FROM {table} WHERE tenant_id = %(tenant_id)s ORDER BY {row_id} LIMIT 1
        """,
        [
            {
                "tenant_id": tenant_id,
                "number": f"{tenant_id}T{one}",
                "own": one + 2 if own == "number" else None,
                "age": (one // 2 + 1) * 60_000_000,
            }
            for one in range(number)
        ],
    )


@pytest.mark.usefixtures("refunded")
@pytest.mark.parametrize("name", LISTS)
def test_pages_contain_each_entry_once(checkout: Checkout, name: str) -> None:
    insert_copies(f"{name.partition('_')[0]}s", checkout.tenant_id, 6)
    everything = list_ids(checkout.hospital, name)
    pages = list_pages(checkout.hospital.admin, name, 2)
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert [one[f"{name.partition('_')[0]}_id"] for page in pages for one in page] == everything
    assert len({*everything}) == 7


@pytest.mark.usefixtures("refunded")
@pytest.mark.parametrize(
    ("table", "filters", "index"),
    [
        ("payments", {}, "by_time"),
        ("payments", {"state": OrderState.SUCCESS}, "by_tenant_state"),
        ("refunds", {}, "by_time"),
        ("refunds", {"state": "processing"}, "by_tenant_state"),
    ],
)
def test_page_is_read_in_the_order_of_an_index(
    checkout: Checkout, table: str, filters: dict[str, Any], index: str
) -> None:
    insert_copies(table, checkout.tenant_id, 600)
    name = f"{table[:-1]}_list"
    deep = read_list(checkout.hospital.admin, name, page_size=100, **filters).data["next"]
    model: type[MoneyListQuery] = PaymentListQuery if table == "payments" else RefundListQuery
    build: Callable[[Any], str] = (
        payment_store.build_payment_sql if table == "payments" else payment_store.build_refund_sql
    )
    for before in ("", deep):
        query = model(**filters, before=before, page_size=20)
        params = payment_store.build_params(checkout.tenant_id, query)
        plan = [row for row in explain(build(query), **params) if row["table"] == "x"]
        assert [row["key"] for row in plan] == [index]
        assert "filesort" not in (plan[0]["Extra"] or "")
        rows, reads = count_rows_of_statement(build(query), params)
        assert rows == 21
        assert reads < 250, "none of the other pages"
