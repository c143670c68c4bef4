"""Round trips of a payment to MySQL and Redis, without the calls of WeChat Pay."""

from functools import partial

from tests.support import booking_client
from tests.support.payment_client import BOOKED_PAID, Checkout
from tests.support.round_trips import RoundTrips, trips

__all__ = ["trips"]
REPETITIONS = 3


def test_order_and_notification(trips: RoundTrips, checkout: Checkout) -> None:
    schedule_id = checkout.department.create_schedule()
    patients = [booking_client.create_patient(checkout.department, number) for number in range(REPETITIONS)]
    booked = [(checkout.department.book_slot(one, schedule_id, number), one) for number, one in enumerate(patients, 1)]
    orders = [partial(checkout.request_order, *one) for one in booked]
    remaining_orders = iter(orders)
    # Account and merchant; BEGIN, booking, its orders, the rows, COMMIT; and again after WeChat Pay's response.
    assert trips.count(lambda: next(remaining_orders)()) == (19, 1)
    assert trips.count(orders[0]) == (6, 1), "the order exists"
    assert checkout.wechat_pay.calls["prepay"] == REPETITIONS

    numbers = [checkout.wechat_pay.pay(number).out_trade_no for number in list(checkout.wechat_pay.orders)]
    notifications = iter(map(checkout.wechat_pay.build_payment_notification, numbers))
    assert trips.count(lambda: checkout.deliver_notification(next(notifications))) == (13, 0)
    assert [checkout.get_booking_state(book_id) for book_id, _ in booked] == [BOOKED_PAID] * REPETITIONS
    assert trips.count(
        lambda: checkout.deliver_notification(checkout.wechat_pay.build_payment_notification(numbers[0]))
    ) == (
        8,
        0,
    ), "a duplicate writes nothing"
