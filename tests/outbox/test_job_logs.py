"""What the outbox logs of a job: alarms and whoever looks into one go by it (docs/runbook.md)."""

import json
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.logs import JsonFormatter
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from tests.outbox.test_outbox import a_job, failing, later, promise
from tests.support.factories import Hospital
from tests.support.metric_filters import get_pattern, matches

pytestmark = pytest.mark.store
__all__ = ["a_job"]


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    told = [json.loads(JsonFormatter().format(one)) for one in caplog.records]
    return [one for one in told if one["event"] == event]


def test_a_line_tells_whose_job_was_done_and_how_late(hospital: Hospital, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    promise(hospital)
    later(400 * clock.SECOND)
    outbox.run_due_jobs()
    (line,) = lines(caplog, "job done")
    assert (line["tenant_id"], line["job"], line["try"]) == (hospital.tenant_id, "publish_event", 1)
    assert 400 <= line["late"] < 460
    woken = [alarm for alarm in ("RunOutboxLate", "ErrorsLogged", "JobsFailing") if matches(get_pattern(alarm), line)]
    assert woken == ["RunOutboxLate"]


def test_a_job_that_fails_wakes_somebody_after_ten_minutes_and_when_it_is_given_up(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    promise(hospital)
    failing.append(ConnectionError())
    for _ in range(outbox.MAX_ATTEMPTS):
        outbox.run_due_jobs()
        later(3600 * clock.SECOND)
    failed, (given_up,) = lines(caplog, "job failed"), lines(caplog, "job dead-lettered")
    assert {one["tenant_id"] for one in [*failed, given_up]} == {hospital.tenant_id}
    waking = [one["try"] for one in failed if matches(get_pattern("JobsFailing"), one)]
    assert waking == [*range(8, outbox.MAX_ATTEMPTS)]
    assert sum(min(outbox.INITIAL_BACKOFF << n, outbox.MAX_BACKOFF) for n in range(7)) >= 600 * clock.SECOND
    assert matches(get_pattern("ErrorsLogged"), given_up)


def test_a_hospital_that_wechat_refuses_is_seen_and_a_patient_who_does_not_follow_it_is_not(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    for number, waking in ((40164, True), (40125, True), (43004, False)):
        caplog.clear()
        failing[:] = [WechatApiError(number)]
        promise(hospital, job=Job.WECHAT_BOOKING)
        outbox.run_due_jobs(Queue.EXTERNAL)
        (line,) = lines(caplog, "job failed")
        assert (line["number"], matches(get_pattern("WechatRefusing"), line)) == (number, waking)
