"""What the outbox logs of a job: alarms and operators rely on it (docs/runbook.md)."""

import json
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.logs import JsonFormatter
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from tests.support.factories import Hospital
from tests.support.metric_filters import get_pattern, matches
from tests.support.outbox_jobs import advance_time, enqueue_job, failures, recording_handlers

pytestmark = pytest.mark.store
__all__ = ["recording_handlers"]


def list_lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    return [line for line in lines if line["event"] == event]


def test_line_of_finished_job_has_tenant_and_lateness(hospital: Hospital, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    enqueue_job(hospital)
    advance_time(400 * clock.SECOND)
    outbox.run_due_jobs()
    (line,) = list_lines(caplog, "job done")
    assert (line["tenant_id"], line["job"], line["try"]) == (hospital.tenant_id, "publish_event", 1)
    assert 400 <= line["late"] < 460
    raised = [alarm for alarm in ("RunOutboxLate", "ErrorsLogged", "JobsFailing") if matches(get_pattern(alarm), line)]
    assert raised == ["RunOutboxLate"]


def test_failing_job_raises_alarms_after_ten_minutes_and_when_dead_lettered(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue_job(hospital)
    failures.append(ConnectionError())
    for _ in range(outbox.MAX_ATTEMPTS):
        outbox.run_due_jobs()
        advance_time(3600 * clock.SECOND)
    failed, (dead_lettered,) = list_lines(caplog, "job failed"), list_lines(caplog, "job dead-lettered")
    assert {line["tenant_id"] for line in [*failed, dead_lettered]} == {hospital.tenant_id}
    tries_with_alarm = [line["try"] for line in failed if matches(get_pattern("JobsFailing"), line)]
    assert tries_with_alarm == [*range(8, outbox.MAX_ATTEMPTS)]
    assert sum(min(outbox.INITIAL_BACKOFF << n, outbox.MAX_BACKOFF) for n in range(7)) >= 600 * clock.SECOND
    assert matches(get_pattern("ErrorsLogged"), dead_lettered)


def test_errors_of_the_account_raise_an_alarm_and_errors_of_a_recipient_do_not(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    for number, has_alarm in ((40164, True), (40125, True), (43004, False)):
        caplog.clear()
        failures[:] = [WechatApiError(number)]
        enqueue_job(hospital, job=Job.WECHAT_BOOKING)
        outbox.run_due_jobs(Queue.EXTERNAL)
        (line,) = list_lines(caplog, "job failed")
        assert (line["errcode"], matches(get_pattern("WechatRefusing"), line)) == (number, has_alarm)
