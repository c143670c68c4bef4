"""What is said to WeChat Pay and heard from it, in either of its versions. Money is in fen, times in µs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

SUCCESS = "SUCCESS"


class ApiVersion(StrEnum):
    """The version of WeChat Pay's API that a merchant account uses."""

    V2 = "v2"
    V3 = "v3"


class SignType(StrEnum):
    """signType of WeChat Pay: RSA in v3, one of the others in v2."""

    RSA = "RSA"
    MD5 = "MD5"
    HMAC_SHA256 = "HMAC-SHA256"


class NotificationKind(StrEnum):
    """What a notification reports."""

    PAYMENT = "paid"
    REFUND = "refunded"


ALREADY_REFUNDED_TEXT = (
    "已全额退款"  # in the text of a refusal: its codes (v2 ERROR, v3 INVALID_REQUEST) say other things as well
)


class WechatPayUnavailableError(Exception):
    """No answer in time, or none that can be believed: whether it was done is unknown, and is to be asked for."""


class InvalidNotificationError(Exception):
    """A notice that is none. `status` is the HTTP answer: 401 where nothing proves it, 400 where it makes no sense."""

    def __init__(self, why: str, status: int = 401) -> None:
        super().__init__(why)
        self.reason = why
        self.status = status


@dataclass(frozen=True, slots=True)
class Merchant:
    """A hospital's account at WeChat Pay."""

    appid: str
    mch_id: str
    version: str  # V3 or V2
    sign_type: str  # RSA in v3; MD5 or HMAC in v2
    key: str = field(repr=False)  # the APIv3 key (32 bytes), or the API key of v2
    serial: str = ""  # of the merchant's own certificate: v3
    private_key: str = field(default="", repr=False)  # PEM; v2 needs it, with the certificate, to refund alone
    certificate: str = ""  # PEM of the merchant's own: v2, to refund
    # v3: WeChat's keys or platform certificates (PEM) by Wechatpay-Serial: PUB_KEY_ID_…, or a certificate's number.
    public_keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    out_trade_no: str  # 6 to 32 letters and digits
    description: str  # what is paid for; WeChat is told the first 127 bytes
    fee: int
    open_id: str
    notify_url: str  # https, without a query
    expires_at: int  # nobody can pay after it; at least a minute from now
    client_ip: str = "127.0.0.1"  # of who pays: v2 alone wants it


@dataclass(frozen=True, slots=True)
class OrderResult:
    """`error_code` is "" where it was done, else WeChat's own word: nothing was done."""

    error_code: str = ""
    error_msg: str = ""
    prepay_id: str = ""  # good for two hours


@dataclass(frozen=True, slots=True)
class Trade:
    """`state` is "" where WeChat knows no such order.

    SUCCESS, REFUND (paid, and at least a part went back), NOTPAY, CLOSED, USERPAYING, PAYERROR; v2 may say REVOKED.
    """

    state: str
    transaction_id: str = ""
    fee: int = 0  # what was ordered; 0 where it is not said
    currency: str = ""
    paid_at: int = 0  # 0: not paid
    open_id: str = ""


@dataclass(frozen=True, slots=True)
class RefundResult:
    """`state` is SUCCESS, PROCESSING, CLOSED (no money moved), ABNORMAL (by hand, at WeChat's merchant platform) or "".

    "" is a refund that was refused (`error_code` says why) or, when asked for, that WeChat does not know. `is_needless`
    where it was refused because all went back already, by other numbers.
    """

    state: str
    refund_id: str = ""
    fee: int = 0  # 0 where it is not said
    error_code: str = ""
    error_msg: str = ""
    is_already_refunded: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """What WeChat tells of its own accord. Whoever acts on it compares mch_id, appid, fee and currency first."""

    kind: str  # PAID or REFUNDED
    out_trade_no: str
    transaction_id: str
    mch_id: str
    fee: int  # paid, or gone back
    currency: str
    state: str  # as of Trade, or as of Refund
    occurred_at: int  # 0 where it is not said
    appid: str = ""  # "" in v3's notices of refunds, which have none
    open_id: str = ""
    out_refund_no: str = ""  # these two of REFUNDED alone
    refund_id: str = ""
    is_signed: bool = (
        True  # False in v2's notices of refunds, which are only encrypted: ask query_refund before believing
    )


def parse_response(make: Callable[[], T]) -> T:
    """Return what is made of an answer. Raises Unreachable where it makes no sense."""
    try:
        return make()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WechatPayUnavailableError("makes no sense") from error
