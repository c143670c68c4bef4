"""bin/bench admin: lists of a hospital with many bookings, and an export. The rows are inserted before.

bin/bench admin --bookings 1000000 --exported 100000
"""

import argparse
import resource
import time
from datetime import date, timedelta
from typing import Any, BinaryIO

from bench import single_process
from bench.console import print_line
from bench.lambda_events import build_get
from bench.single_process import Case, SingleProcessRun
from bench.tables import insert_rows
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.admin import export_content
from chalicelib.admin.export_models import ListName
from chalicelib.billing.bookings import BookingStatus, CancellationReason
from tests.support.booking_client import STAFF_PATH, BookingDepartment, create_department
from tests.support.factories import Hospital, create_hospital

PAGE_SIZE = 20
FIRST_DAY = date(2030, 1, 1)
PER_DAY = 1_000
COLUMNS = (
    "tenant_id, schedule_id, serial_no, pati_id, dept_id, doctor_id, day, half_day, slot_time, type, fee, area, "
    "book_code, status, live, person_live, half_day_live, cancelled_for, changed_at, created_at"
)


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="bin/bench admin", description=__doc__)
    parser.add_argument("--bookings", type=int, default=100_000, help="bookings of the hospital")
    parser.add_argument("--exported", type=int, default=10_000, help="rows of the export")
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    hospital = create_hospital()
    department = create_department(hospital)
    _insert_bookings(hospital, department, options.bookings)
    run = SingleProcessRun()
    for name, query in _build_queries(hospital, department, options.bookings).items():
        event = build_get(f"{STAFF_PATH}/booking_list", hospital.admin.token, page_size=PAGE_SIZE, **query)
        run.measure(Case(name, [event] * options.samples, lambda body: len(body["data"]["list"]) == PAGE_SIZE))
    print_line("target: p50 of each list ≤ 50 ms with 1,000,000 bookings")
    _export(hospital, options.exported)
    return 0


def _insert_bookings(hospital: Hospital, department: BookingDepartment, number: int) -> None:
    """Insert bookings of many days, a tenth of them cancelled, in batches that are small in memory."""
    dept_id, doctor_id, now = int(department.dept_id), hospital.chen.user_id, clock.now()
    for start in range(0, number, 5_000):
        rows: list[tuple[Any, ...]] = []
        for one in range(start, min(start + 5_000, number)):
            is_cancelled = one % 10 == 0
            status = BookingStatus.CANCELLED if is_cancelled else BookingStatus.REGISTERED
            reason = CancellationReason.PATIENT if is_cancelled else ""
            day = FIRST_DAY + timedelta(days=one // PER_DAY)
            rows.append(
                (
                    *(hospital.tenant_id, one // PER_DAY + 1, one % PER_DAY + 1, one + 1, dept_id, doctor_id, day),
                    *("AM", timedelta(hours=8), 0, 1250, "", f"{one:014}", status, None, None, None, reason, now, now),
                )
            )
        insert_rows(f"bookings ({COLUMNS})", rows)
    mysql.autocommit.fetch_all("ANALYZE TABLE bookings")


def _build_queries(hospital: Hospital, department: BookingDepartment, number: int) -> dict[str, dict[str, Any]]:
    middle = FIRST_DAY + timedelta(days=number // PER_DAY // 2)
    return {
        "first page": {},
        "page in the middle": {"before": f"{middle.toordinal()}.9007199254740991"},
        "cancelled": {"book_status": 1},
        "department": {"dept_id": department.dept_id},
        "doctor, to a day": {"doctor_id": hospital.chen.user_id, "to_date": middle.isoformat()},
    }


def _export(hospital: Hospital, number: int) -> None:
    """Write an export without S3; print how long it took and how much memory it needed."""
    export_content.MAX_ROWS = number
    size = 0

    def put(_key: str, _file: BinaryIO, its_size: int, _content_type: str, _file_name: str) -> None:
        nonlocal size
        size = its_size

    s3.put = put  # type: ignore[assignment]  # its parameters have other names
    before, started = _get_peak_memory(), time.perf_counter()
    rows, _ = export_content.write_object(hospital.tenant_id, ListName.BOOKINGS, {}, "bench")
    seconds = time.perf_counter() - started
    print_line(
        f"export of {rows:,} rows: {seconds:.2f} s, {size / 1e6:.2f} MB; the process's peak memory grew by "
        f"{(_get_peak_memory() - before) / 1024:.1f} MB"
    )


def _get_peak_memory() -> int:
    """Return the largest resident size of this process so far, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
