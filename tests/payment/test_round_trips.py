"""What a payment costs on the network, beside what is asked of WeChat."""

from functools import partial

from tests.support import booking_client as wards
from tests.support.payment_client import Checkout
from tests.test_round_trips import Trips, trips

__all__ = ["trips"]
TIMES = 3  # that the trips of each request are counted


def test_paying(trips: Trips, checkout: Checkout) -> None:
    schedule_id = checkout.department.create_schedule()
    patients = [wards.create_patient(checkout.department, number) for number in range(TIMES)]
    booked = [(checkout.department.book_slot(one, schedule_id, number), one) for number, one in enumerate(patients, 1)]
    orders = [partial(checkout.request_order, *one) for one in booked]
    new = iter(orders)
    # Account and merchant; BEGIN, booking, its orders, the rows, COMMIT; and again when WeChat has answered.
    assert trips.of(lambda: next(new)()) == (19, 1)
    assert trips.of(orders[0]) == (6, 1), "it is there"
    assert checkout.wechat_pay.calls["prepay"] == TIMES

    numbers = [checkout.wechat_pay.pay(number).out_trade_no for number in list(checkout.wechat_pay.orders)]
    notices = iter(map(checkout.wechat_pay.build_payment_notification, numbers))
    assert trips.of(lambda: checkout.deliver_notification(next(notices))) == (13, 0)
    assert [checkout.get_booking_state(book_id) for book_id, _ in booked] == [(0, 2)] * TIMES
    assert trips.of(
        lambda: checkout.deliver_notification(checkout.wechat_pay.build_payment_notification(numbers[0]))
    ) == (
        8,
        0,
    ), "a copy: nothing is written"
