"""What a payment costs on the network, beside what is asked of WeChat."""

from functools import partial

from tests.booking import ward as wards
from tests.payment.till import Till
from tests.test_round_trips import Trips, trips

__all__ = ["trips"]
TIMES = 3  # that the trips of each request are counted


def test_paying(trips: Trips, till: Till) -> None:
    schedule_id = till.ward.schedule()
    patients = [wards.patient(till.ward, number) for number in range(TIMES)]
    booked = [(till.ward.booked(one, schedule_id, number), one) for number, one in enumerate(patients, 1)]
    orders = [partial(till.order, *one) for one in booked]
    new = iter(orders)
    # Account and merchant; BEGIN, booking, its orders, the rows, COMMIT; and again when WeChat has answered.
    assert trips.of(lambda: next(new)()) == (19, 1)
    assert trips.of(orders[0]) == (6, 1), "it is there"
    assert till.pay.calls["prepay"] == TIMES

    numbers = [till.pay.pay(number).out_trade_no for number in list(till.pay.orders)]
    notices = iter(map(till.pay.paid_notice, numbers))
    assert trips.of(lambda: till.told(next(notices))) == (13, 0)
    assert [till.charge(book_id) for book_id, _ in booked] == [(0, 2)] * TIMES
    assert trips.of(lambda: till.told(till.pay.paid_notice(numbers[0]))) == (8, 0), "a copy: nothing is written"
