"""Daily bills: downloaded in both versions, verified, and read."""

import gzip
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay import bill_files
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.bill_files import FundEntry, MalformedBillError, TradeEntry
from chalicelib.adapters.wechat_pay.client import Merchant, WechatPayUnavailableError
from chalicelib.adapters.wechat_pay.types import BillDownload, BillKind, BillStatus
from devstack.fakes import wechat_pay_bills
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.wechat_pay_orders import (
    OUT_REFUND_NO,
    OUT_TRADE_NO,
    MerchantKind,
    build_order,
    create_paid_order,
    parametrize_kinds,
    request_refund,
)

parametrize_bills = pytest.mark.parametrize("bill", BillKind)
# From WeChat Pay's documents and the tests of SDKs.
OLD_TRADE_BILL = Path(__file__).with_name("wechat_pay_old_trade_bill.csv").read_text("utf-8")
FUND_BILL = Path(__file__).with_name("wechat_pay_fund_bill.csv").read_text("utf-8")


@pytest.fixture
def tomorrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let days pass."""

    def pass_days(days: int = 1) -> None:
        now = clock.now
        monkeypatch.setattr(clock, "now", lambda: now() + days * clock.DAY)

    return pass_days


def download(merchant: Merchant, bill: BillKind, day: date | None = None) -> tuple[BillDownload, io.BytesIO]:
    file = io.BytesIO()
    return wechat_pay.download_bill(merchant, bill, day or clock.today() - timedelta(1), file), file


@parametrize_kinds
def test_bills_of_a_day(pay: WeChatPay, kind: MerchantKind, tomorrow: Callable[[int], None]) -> None:
    merchant = create_paid_order(pay, kind)
    request_refund(merchant, 501)
    tomorrow(1)
    result, file = download(merchant, BillKind.TRADE)
    assert result == BillDownload(BillStatus.READY)
    order, refund = pay.orders[OUT_TRADE_NO], pay.refunds[OUT_REFUND_NO]
    assert list(bill_files.read_trade_bill(file)) == [
        TradeEntry(
            is_refund=False,
            out_trade_no=OUT_TRADE_NO,
            number=OUT_TRADE_NO,
            wechat_id=order.transaction_id,
            state="SUCCESS",
            fee=1500,
            settled=1500,
            commission=9,
            at=order.paid_at // clock.SECOND * clock.SECOND,
        ),
        TradeEntry(
            is_refund=True,
            out_trade_no=OUT_TRADE_NO,
            number=OUT_REFUND_NO,
            wechat_id=refund.refund_id,
            state="PROCESSING",
            fee=501,
            settled=501,
            commission=3,
            at=refund.created_at // clock.SECOND * clock.SECOND,
        ),
    ]
    result, file = download(merchant, BillKind.FUND)
    assert result == BillDownload(BillStatus.READY)
    assert list(bill_files.read_fund_bill(file)) == [
        FundEntry(wechat_id=order.transaction_id, fee=1500),
        FundEntry(wechat_id=order.transaction_id, fee=-9),
        FundEntry(wechat_id=refund.refund_id, fee=-498),
    ]


@parametrize_kinds
@parametrize_bills
def test_day_without_payments_has_no_bill(
    pay: WeChatPay, kind: MerchantKind, bill: BillKind, tomorrow: Callable[[int], None]
) -> None:
    merchant = create_paid_order(pay, kind)
    tomorrow(2)
    result, file = download(merchant, bill)
    assert (result.status, file.getvalue()) == (BillStatus.EMPTY, b"")


@pytest.mark.parametrize(
    ("kind", "bill", "code"),
    [
        (("v3", "RSA"), BillKind.TRADE, "STATEMENT_CREATING"),
        (("v3", "RSA"), BillKind.FUND, "STATEMENT_CREATING"),
        (("v2", "MD5"), BillKind.TRADE, "Bill Creating"),
        (("v2", "MD5"), BillKind.FUND, "BILL_CREATING"),
    ],
)
def test_bill_that_is_being_created(pay: WeChatPay, kind: MerchantKind, bill: BillKind, code: str) -> None:
    merchant = create_paid_order(pay, kind)
    pay.failures[f"{bill}_bill"] = code
    assert download(merchant, bill)[0] == BillDownload(BillStatus.CREATING, code)


@parametrize_kinds
@parametrize_bills
def test_rejected_request_has_its_code(pay: WeChatPay, kind: MerchantKind, bill: BillKind) -> None:
    merchant = create_paid_order(pay, kind)
    result, _ = download(merchant, bill, clock.today())
    assert (result.status, bool(result.error_code)) == (BillStatus.REJECTED, True)
    result, _ = download(replace(merchant, key="x" * 32, serial="wrong"), bill)
    assert result.status == BillStatus.REJECTED


@pytest.mark.parametrize("failure", [500, 429, ""])
@pytest.mark.parametrize("action", ["trade_bill", "download_bill"])
def test_no_response_can_be_repeated(
    pay: WeChatPay, failure: int | str, action: str, tomorrow: Callable[[int], None]
) -> None:
    merchant = create_paid_order(pay, ("v3", "RSA"))
    tomorrow(1)
    pay.failures[action] = failure
    with pytest.raises(WechatPayUnavailableError):
        download(merchant, BillKind.TRADE)
    pay.failures.clear()
    assert download(merchant, BillKind.TRADE)[0].status == BillStatus.READY


def test_wrongly_signed_location_is_rejected(pay: WeChatPay, tomorrow: Callable[[int], None]) -> None:
    merchant = create_paid_order(pay, ("v3", "RSA"))
    tomorrow(1)
    pay.signs_with_wrong_key = True
    with pytest.raises(WechatPayUnavailableError):
        download(merchant, BillKind.TRADE)
    assert pay.calls["download_bill"] == 0


def test_other_file_than_the_signed_digest_is_rejected(
    pay: WeChatPay, monkeypatch: pytest.MonkeyPatch, tomorrow: Callable[[int], None]
) -> None:
    merchant = create_paid_order(pay, ("v3", "RSA"))
    tomorrow(1)
    for change in (lambda content: content[:-20], lambda content: gzip.compress(gzip.decompress(content) + b" ")):
        monkeypatch.setattr(pay, "bill_files", ChangedFiles(change))
        with pytest.raises(WechatPayUnavailableError):
            download(merchant, BillKind.TRADE)


class ChangedFiles(dict[str, bytes]):
    """Files that are changed when they are stored."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self.change = change

    def __setitem__(self, token: str, content: bytes) -> None:
        super().__setitem__(token, self.change(content))


def test_digest_of_fund_flow_in_v2_is_verified(
    pay: WeChatPay, monkeypatch: pytest.MonkeyPatch, tomorrow: Callable[[int], None]
) -> None:
    merchant = create_paid_order(pay, ("v2", "MD5"))
    tomorrow(1)
    monkeypatch.setattr(hashlib, "sha1", lambda *_, **__: hashlib.sha256(b""))
    monkeypatch.setattr(bill_files, "_unpack", lambda *_, **__: "another")
    with pytest.raises(WechatPayUnavailableError):
        download(merchant, BillKind.FUND)


def test_file_that_is_not_packed_is_read(
    pay: WeChatPay, monkeypatch: pytest.MonkeyPatch, tomorrow: Callable[[int], None]
) -> None:
    merchant = create_paid_order(pay, ("v3", "RSA"))
    tomorrow(1)
    monkeypatch.setattr(pay, "bill_files", ChangedFiles(gzip.decompress))
    assert download(merchant, BillKind.TRADE)[0].status == BillStatus.READY


@pytest.mark.parametrize(
    ("version", "expected"), [("v3", WechatPayUnavailableError), ("v2", WechatPayUnavailableError)]
)
def test_size_is_bounded_packed_and_unpacked(
    pay: WeChatPay,
    monkeypatch: pytest.MonkeyPatch,
    tomorrow: Callable[[int], None],
    version: str,
    expected: type[Exception],
) -> None:
    merchant = create_paid_order(pay, (version, "RSA" if version == "v3" else "MD5"))
    tomorrow(1)
    file = wechat_pay_bills.build_trade_bill(pay, merchant, clock.today() - timedelta(1)).encode()
    for limit in (100, len(file) - 1):  # packed it has about 500 bytes
        monkeypatch.setattr(bill_files, "MAX_BILL_BYTES", limit)
        with pytest.raises(expected):
            download(merchant, BillKind.TRADE)


def test_download_ends_when_the_server_is_too_slow(
    pay: WeChatPay, monkeypatch: pytest.MonkeyPatch, tomorrow: Callable[[int], None]
) -> None:
    merchant = create_paid_order(pay, ("v3", "RSA"))
    tomorrow(1)
    monkeypatch.setattr(bill_files, "DOWNLOAD_SECONDS", -1.0)
    with pytest.raises(WechatPayUnavailableError):
        download(merchant, BillKind.TRADE)


def test_signed_request_goes_to_no_other_host(
    pay: WeChatPay, monkeypatch: pytest.MonkeyPatch, tomorrow: Callable[[int], None]
) -> None:
    merchant, called, send = create_paid_order(pay, ("v3", "RSA")), [], https.download
    tomorrow(1)

    def record(method: str, url: str, *arguments: object, **named: object) -> object:
        called.append(url)
        return send(method, url, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(https, "download", record)
    real_url, pay.url = pay.url, "https://elsewhere.example"
    assert download(merchant, BillKind.TRADE)[0].status == BillStatus.READY
    assert [url.partition("?")[0] for url in called] == [f"{real_url}/v3/billdownload/file"]


def test_earliest_format_and_values_with_commas() -> None:
    [entry] = bill_files.read_trade_bill(io.BytesIO(OLD_TRADE_BILL.encode()))
    assert (entry.number, entry.fee, entry.settled, entry.commission, entry.is_refund) == ("1415640626", 1, 1, 0, False)
    assert clock.format_wire_time(entry.at) == "2014-11-10 16:33:45"
    assert list(bill_files.read_fund_bill(io.BytesIO(FUND_BILL.encode()))) == [
        FundEntry(wechat_id="50000305742018020103387128253", fee=-2)
    ]


def test_line_end_in_a_value_belongs_to_it() -> None:
    bill = OLD_TRADE_BILL.replace("订单额外描述", "订单\r\n额外描述")
    assert [one.number for one in bill_files.read_trade_bill(io.BytesIO(bill.encode()))] == ["1415640626"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("`1,`0.01,`0.0", "`2,`0.01,`0.0"),  # the totals
        ("总交易单数", "其他"),
        ("`CNY", "`USD"),
        ("`0.01,`0.0,`0,`0,", "`0.015,`0.0,`0,`0,"),
        ("`0.01,`0.0,`0,`0,", "`1e3,`0.0,`0,`0,"),
        ("`0.01,`0.0,`0,`0,", "`Infinity,`0.0,`0,`0,"),
        ("`CFT,", ""),
        ("商户订单号", "订单号"),
        ("2014-11-10 16", "2014-11-10T99"),
        ("被扫", "被扫" + "描" * 70_000),
        ("被扫", "\ud800"),
    ],
)
def test_malformed_bill_is_rejected(old: str, new: str) -> None:
    content = OLD_TRADE_BILL.replace(old, new).encode(errors="surrogatepass")
    with pytest.raises(MalformedBillError):
        list(bill_files.read_trade_bill(io.BytesIO(content)))


def test_empty_file_is_malformed() -> None:
    with pytest.raises(MalformedBillError):
        list(bill_files.read_fund_bill(io.BytesIO(b"")))


def test_refund_in_v3_says_when_it_was_accepted(pay: WeChatPay) -> None:
    merchant = create_paid_order(pay, ("v3", "RSA"))
    accepted_at = request_refund(merchant).accepted_at
    assert accepted_at == pay.refunds[OUT_REFUND_NO].created_at // clock.SECOND * clock.SECOND
    assert wechat_pay.query_refund(merchant, OUT_REFUND_NO).accepted_at == accepted_at


def test_ten_thousand_entries_are_read_in_bounded_memory(pay: WeChatPay) -> None:
    import tracemalloc

    merchant = create_paid_order(pay, ("v3", "RSA"))
    assert wechat_pay.prepay(merchant, build_order("Appo20260105000002")).error_code == ""
    header, entry, *_ = OLD_TRADE_BILL.splitlines()
    lines = [header, *[entry] * 10_000, "总交易单数", "`10000"]
    file = io.BytesIO("\r\n".join(lines).encode())
    tracemalloc.start()
    assert sum(1 for _ in bill_files.read_trade_bill(file)) == 10_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000
