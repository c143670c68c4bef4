"""The files of WeChat Pay's daily bills: download, unpack and read them in bounded memory.

A bill is text: a line of names, a line for each entry, whose values each begin with a grave accent, then a line of
names of totals and one of totals. Columns are found by their names, which differ a little between accounts.

Source: https://pay.weixin.qq.com/docs/merchant/products/bill-download/format-trade.html
"""

import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import BinaryIO, TypeVar

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.wechat_pay.types import CURRENCY, BillKind, WechatPayUnavailableError
from chalicelib.errors import ApiError
from chalicelib.settings import settings

T = TypeVar("T")

MAX_BILL_BYTES = 200 * 1024 * 1024  # unpacked: half a million entries
MAX_RECORD_CHARS = 64 * 1024
DOWNLOAD_SECONDS, READ_SECONDS = 120.0, 10.0
BLOCK_BYTES = 64 * 1024
GZIP_MAGIC, XML_PREFIX = b"\x1f\x8b", b"<xml>"
DECIMAL_PATTERN = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,8})?")
MARK = "`"  # before each value
TOTALS_BEGIN = {BillKind.TRADE: "总交易单数", BillKind.FUND: "资金流水总笔数"}
SUCCESS = "SUCCESS"  # 交易状态 of a payment; that of a refund is REFUND, or REVOKED for payment codes
INCOME, EXPENDITURE = "收入", "支出"


class MalformedBillError(Exception):
    """A bill is cut off or in another format than the documented ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeEntry:
    """A payment, or a refund that was initiated on the day. Amounts are in fen and not negative."""

    is_refund: bool
    out_trade_no: str
    number: str  # out_trade_no of a payment, out_refund_no of a refund
    wechat_id: str  # transaction_id of a payment, refund_id of a refund
    state: str  # SUCCESS, or the state of the refund when the bill was created
    fee: int  # what was ordered, or requested to be refunded
    settled: int  # what the merchant receives or returns of it: without the coupons that others pay for
    commission: int  # what WeChat Pay takes, or returns with a refund; rounded to fen for each entry, as it is deducted
    at: int  # of the payment, or of the request for the refund


@dataclass(frozen=True, slots=True, kw_only=True)
class FundEntry:
    """A change of the account's balance."""

    wechat_id: str  # transaction_id, refund_id, or the number of a withdrawal
    fee: int  # fen; negative if the balance decreases


def download_and_unpack(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    file: BinaryIO,
    digest: str = "",
    certificate: str = "",
) -> bytes:
    """Download a bill and write it to a file, unpacked if it is packed. Nothing is written of an error response.

    Args:
        digest: the SHA-1 of the unpacked file in hexadecimal; "" for that of the response's header Digest, if any.
        certificate: of the client, with its private key.

    Returns:
        b"", or an error response of v2: XML instead of the file.

    Raises:
        WechatPayUnavailableError: without a complete response.
    """
    from tempfile import TemporaryFile  # adds several modules to the cold start of functions that fetch no bills

    with TemporaryFile() as packed:
        try:
            status, response_headers = https.download(
                method,
                f"{settings.wechat_pay_url}{path}",
                headers,
                body,
                packed,
                timeout=READ_SECONDS,
                max_bytes=MAX_BILL_BYTES,
                max_seconds=DOWNLOAD_SECONDS,
                certificate=certificate,
            )
        except ApiError as error:
            raise WechatPayUnavailableError(str(error)) from error
        if status != 200:
            raise WechatPayUnavailableError(f"{status} for a bill")
        packed.seek(0)
        beginning = packed.read(len(XML_PREFIX))
        packed.seek(0)
        if beginning == XML_PREFIX:
            return packed.read(BLOCK_BYTES)
        expected = digest or response_headers.get("digest", "").rpartition("SHA=")[2].lower()
        found = _unpack(packed, file, is_packed=beginning.startswith(GZIP_MAGIC))
        if expected and found != expected:
            raise WechatPayUnavailableError("the bill has another digest")
        return b""


def _unpack(packed: BinaryIO, file: BinaryIO, *, is_packed: bool) -> str:
    """Write the unpacked content to a file; return its SHA-1."""
    unpacker = zlib.decompressobj(wbits=31) if is_packed else None
    digest, written = hashlib.sha1(usedforsecurity=False), 0
    try:
        while block := packed.read(BLOCK_BYTES):
            while block:
                content = unpacker.decompress(block, BLOCK_BYTES) if unpacker else block
                block = unpacker.unconsumed_tail if unpacker else b""
                digest.update(content)
                file.write(content)
                written += len(content)
                if written > MAX_BILL_BYTES:
                    raise WechatPayUnavailableError("the bill is too large")
    except zlib.error as error:
        raise WechatPayUnavailableError("the bill is not packed correctly") from error
    if unpacker and not unpacker.eof:
        raise WechatPayUnavailableError("the bill is cut off")
    return digest.hexdigest()


def read_trade_bill(file: BinaryIO) -> Iterator[TradeEntry]:
    """Yield the entries of a trade bill of type ALL.

    Raises:
        MalformedBillError: after the entries before the fault.
    """
    return _read_entries(file, BillKind.TRADE, _parse_trade_entry)


def read_fund_bill(file: BinaryIO) -> Iterator[FundEntry]:
    """Yield the entries of a fund flow bill.

    Raises:
        MalformedBillError: after the entries before the fault.
    """
    return _read_entries(file, BillKind.FUND, _parse_fund_entry)


def _parse_trade_entry(values: Mapping[str, str]) -> TradeEntry:
    is_refund = values["交易状态"] != SUCCESS
    if values["货币种类"] != CURRENCY:
        raise ValueError("another currency")
    # Accounts with the earliest format have one amount, in the column 总金额 or 退款金额.
    settled = values["退款金额"] if is_refund else _find_value(values, "应结订单金额", "总金额")
    fee = values.get("申请退款金额" if is_refund else "订单金额", settled)
    return TradeEntry(
        is_refund=is_refund,
        out_trade_no=values["商户订单号"],
        number=values["商户退款单号" if is_refund else "商户订单号"],
        wechat_id=values["微信退款单号" if is_refund else "微信订单号"],
        state=values["退款状态"] if is_refund else SUCCESS,
        fee=abs(_parse_fen(fee)),
        settled=abs(_parse_fen(settled)),
        commission=abs(_round_to_fen(values["手续费"])),
        at=_parse_time(values["交易时间"]),
    )


def _parse_fund_entry(values: Mapping[str, str]) -> FundEntry:
    amount = abs(_parse_fen(_find_value(values, "收支金额(元)", "收支金额（元）")))
    if values["收支类型"] not in (INCOME, EXPENDITURE):
        raise ValueError("neither income nor expenditure")
    return FundEntry(
        wechat_id=values["微信支付业务单号"],
        fee=amount if values["收支类型"] == INCOME else -amount,
    )


def _read_entries(file: BinaryIO, kind: BillKind, parse: Callable[[Mapping[str, str]], T]) -> Iterator[T]:
    """Yield the entries of a bill; at the end compare their number with the bill's totals."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        records = _read_records(text)
        columns = [name.strip().strip(MARK) for name in next(records, "").split(",")]
        for count, record in enumerate(records):
            if record.lstrip(MARK).startswith(TOTALS_BEGIN[kind]):
                if count != _parse_count(next(records, "")):
                    raise ValueError("another number of entries than its totals say")
                return
            values = [value.strip() for value in record.removeprefix(MARK).split(f",{MARK}")]
            yield parse(dict(zip(columns, values, strict=True)))
        raise ValueError("no totals")
    except (KeyError, ValueError) as error:
        raise MalformedBillError(str(error)) from error
    finally:
        text.detach()  # otherwise the file would be closed


def _read_records(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield lines without their ends. A product name of another system may contain line ends: they are kept."""
    record = ""
    while line := text.readline(MAX_RECORD_CHARS):
        if record and line.startswith((MARK, *TOTALS_BEGIN.values())):
            yield record.strip("\r\n")
            record = ""
        record += line
        if len(record) > MAX_RECORD_CHARS:
            raise ValueError("an entry is too long")
    if record:
        yield record.strip("\r\n")


def _find_value(values: Mapping[str, str], *columns: str) -> str:
    """Return the value of the first of these columns that the bill has."""
    for column in columns:
        if column in values:
            return values[column]
    raise KeyError(columns[0])


def _parse_count(record: str) -> int:
    return int(_parse_decimal(record.split(",")[0].strip().strip(MARK)))  # some bills write 20.0


def _parse_fen(text: str) -> int:
    amount = _parse_decimal(text) * 100
    if amount != amount.to_integral_value():
        raise ValueError("not an amount in fen")
    return int(amount)


def _round_to_fen(text: str) -> int:
    return int((_parse_decimal(text) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _parse_decimal(text: str) -> Decimal:
    if not DECIMAL_PATTERN.fullmatch(text):
        raise ValueError("not a number")
    return Decimal(text)


def _parse_time(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=clock.SHANGHAI).timestamp()) * clock.SECOND
