"""Values exchanged with WeChat Pay, the same for API v2 and v3. Amounts are in fen, times in µs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

SUCCESS = "SUCCESS"  # return_code and result_code of v2
CURRENCY = "CNY"
# Part of the error message when an order is fully refunded. The error codes (v2 ERROR, v3 INVALID_REQUEST) also stand
# for other errors, so they cannot be used to recognise it.
ALREADY_REFUNDED_TEXT = "已全额退款"


class ApiVersion(StrEnum):
    """The version of WeChat Pay's API that a merchant account uses."""

    V2 = "v2"
    V3 = "v3"


class SignType(StrEnum):
    """signType of WeChat Pay: RSA in v3, one of the others in v2."""

    RSA = "RSA"
    MD5 = "MD5"
    HMAC_SHA256 = "HMAC-SHA256"


class TradeState(StrEnum):
    """trade_state of an order at WeChat Pay. It may add states: treat an unknown one as undecided."""

    NOT_FOUND = ""  # not a value of WeChat Pay: it has no such order
    NOTPAY = "NOTPAY"
    USERPAYING = "USERPAYING"
    SUCCESS = "SUCCESS"
    REFUND = "REFUND"  # paid, and refunded at least in part
    CLOSED = "CLOSED"
    REVOKED = "REVOKED"  # v2 only
    PAYERROR = "PAYERROR"


class RefundStatus(StrEnum):
    """status of a refund at WeChat Pay, in v3's terms."""

    NONE = ""  # not a value of WeChat Pay: the refund was rejected or does not exist
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    CLOSED = "CLOSED"  # no money was transferred, nor will be under this number
    ABNORMAL = "ABNORMAL"  # to be settled by hand at WeChat Pay's merchant platform


class NotificationKind(StrEnum):
    """What a notification reports."""

    PAYMENT = "payment"
    REFUND = "refund"


class BillKind(StrEnum):
    """The two daily bills of a merchant account."""

    TRADE = "trade"  # 交易账单: the payments and the refunds initiated on the day
    FUND = "fund"  # 资金账单: what the account's balance gained and lost


class BillStatus(StrEnum):
    """What WeChat Pay answered to the request for a bill."""

    READY = "ready"
    EMPTY = "empty"  # there is no bill, because nothing happened on the day
    CREATING = "creating"  # also answered for a day on which nothing happened
    REJECTED = "rejected"


class WechatPayUnavailableError(Exception):
    """WeChat Pay sent no response in time, or none with a valid signature.

    Whether the request was carried out is unknown. It may be repeated unchanged.
    """


class InvalidNotificationError(Exception):
    """A notification that is not authentic or not readable.

    Attributes:
        reason: for the log.
        status: the HTTP status to respond with: 401 if it is not proven authentic, 400 if it is malformed.
    """

    def __init__(self, reason: str, status: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Merchant:
    """A hospital's merchant account at WeChat Pay."""

    appid: str  # the official account that payments are made through; "" if none is needed
    mch_id: str
    version: str  # ApiVersion
    sign_type: str  # SignType
    key: str = field(repr=False)  # v3: the APIv3 key (32 bytes); v2: the API key
    serial: str = ""  # v3: serial number of the merchant certificate
    private_key: str = field(default="", repr=False)  # PEM; v2 needs it, with the certificate, for refunds only
    certificate: str = ""  # PEM of the merchant certificate: v2, for refunds
    # v3: WeChat Pay's public keys or platform certificates (PEM) by Wechatpay-Serial, which is PUB_KEY_ID_… or the
    # serial number of a certificate.
    public_keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """An order to create at WeChat Pay."""

    out_trade_no: str  # 6 to 32 letters and digits
    description: str  # shown to the payer; truncated to 127 bytes
    fee: int
    open_id: str
    notify_url: str  # https, without a query
    expires_at: int  # cannot be paid afterwards; at least a minute from now
    client_ip: str = "127.0.0.1"  # the payer's address; v2 only


@dataclass(frozen=True, slots=True)
class OrderResult:
    """The result of creating or closing an order."""

    error_code: str = ""  # "": done; otherwise WeChat Pay's code, and nothing was done
    error_msg: str = ""
    prepay_id: str = ""  # valid for two hours


@dataclass(frozen=True, slots=True)
class Trade:
    """The state of an order at WeChat Pay."""

    state: str  # TradeState
    transaction_id: str = ""
    fee: int = 0  # the amount ordered; 0 if the response does not contain it
    currency: str = ""
    paid_at: int = 0  # 0: not paid
    open_id: str = ""


@dataclass(frozen=True, slots=True)
class RefundResult:
    """The state of a refund at WeChat Pay, or why it was rejected."""

    state: str  # RefundStatus
    refund_id: str = ""
    fee: int = 0  # 0 if the response does not contain it
    error_code: str = ""
    error_msg: str = ""
    is_already_refunded: bool = False  # rejected because the order was fully refunded under other numbers
    accepted_at: int = 0  # when WeChat Pay accepted the request; 0 if the response does not contain it


@dataclass(frozen=True, slots=True)
class BillDownload:
    """The result of downloading a bill."""

    status: BillStatus
    error_code: str = ""  # WeChat Pay's code or text, "" for READY


@dataclass(frozen=True, slots=True)
class Notification:
    """A payment or refund notification. Before acting on it compare mch_id, appid, fee and currency with the order."""

    kind: NotificationKind
    out_trade_no: str
    transaction_id: str
    mch_id: str
    fee: int  # the amount paid or refunded
    currency: str
    state: str  # TradeState or RefundStatus
    occurred_at: int  # 0 if it is not stated
    appid: str = ""  # "" in refund notifications of v3
    open_id: str = ""
    out_refund_no: str = ""  # refunds only
    refund_id: str = ""  # refunds only
    # False for refund notifications of v2, which are encrypted but not signed: confirm them with query_refund.
    is_signed: bool = True


def parse_response(parse: Callable[[], T]) -> T:
    """Return the result of `parse`, which reads a response.

    Raises:
        WechatPayUnavailableError: if the response is malformed.
    """
    try:
        return parse()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WechatPayUnavailableError("malformed response") from error
