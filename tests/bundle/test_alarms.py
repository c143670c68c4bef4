"""Alarms and their entries in the runbook. tests/outbox/test_job_logs.py tests log lines against the filters."""

import re
from fnmatch import fnmatchcase

import pytest

from app import app
from infra.functions import get_resource_name
from tests.bundle.conftest import Package
from tests.support.cloudformation import ROOT, Template, find_functions, find_resources, read_stack

WORKERS = {"RunOutbox", "RunOutboxExternal"}
JOBS = {get_resource_name(job.name) for job in app.event_sources}
SOCKETS = {get_resource_name(handler.name) for handler in app.websocket_handlers.values()}
EVENTS = {"FileArrived"}  # functions without a schedule


def find_alarms(package: Package) -> Template:
    return {name: one["Properties"] for name, one in find_resources(package.template, "AWS::CloudWatch::Alarm").items()}


def find_watched_functions(package: Package, alarm: str) -> set[str]:
    """Return the functions whose logs feed an alarm; each of its metric filters reads one."""
    wanted = find_alarms(package)[alarm]
    found = set()
    for filtered in find_resources(package.template, "AWS::Logs::MetricFilter").values():
        [counted] = filtered["Properties"]["MetricTransformations"]
        if counted["MetricName"] == alarm:
            assert (wanted["MetricName"], wanted["Namespace"]) == (alarm, counted["MetricNamespace"])
            log = package.template["Resources"][filtered["Properties"]["LogGroupName"]["Ref"]]
            found.add(log["Properties"]["LogGroupName"]["Fn::Sub"].removeprefix("/aws/lambda/${").removesuffix("}"))
    return found


def test_failures_of_the_api_and_functions_raise_alarms(package: Package) -> None:
    every = set(find_functions(package.template)) - {"Migrate"}  # the deployment itself reports its failure
    serving = {
        one["Properties"]["FunctionName"]["Ref"]
        for one in find_resources(package.template, "AWS::Lambda::Permission").values()
    }
    wanted = {
        *(f"{name}Crashing" for name in every),
        *(f"{name}{what}" for name in serving for what in ("Throttled", "Slow")),
        *(f"{name}Silent" for name in JOBS - EVENTS),
        *(f"{name}Late" for name in WORKERS),
    }
    assert set(find_alarms(package)) == wanted | {
        "ApiFailing",
        "ErrorsLogged",
        "JobsFailing",
        "WechatRefusing",
        "SmsBudgetUsedUp",
        "PasswordGuessing",
        "CaptchaFailing",
        "CaptchaRejected",
        "NotificationQuotaUsedUp",
    }
    topic = [{"Fn::ImportValue": {"Fn::Sub": "${Environment}-Alarms"}}]
    assert all(one["AlarmActions"] == one["OKActions"] == topic for one in find_alarms(package).values())


@pytest.mark.parametrize(
    ("requests", "failures", "alarm_raised"),
    [(20, 15, True), (10, 10, True), (20, 3, False), (5000, 90, False), (5000, 100, True), (60, 2, True)],
)
def test_alarm_of_the_api_does_not_depend_on_the_load(
    package: Package, requests: int, failures: int, alarm_raised: bool
) -> None:
    """A few failures among few requests raise no alarm; ten do, for any number of requests."""
    alarm = find_alarms(package)["ApiFailing"]
    [text] = [one["Expression"] for one in alarm["Metrics"] if "Expression" in one]
    held, then, otherwise = text.removeprefix("IF(").removesuffix(")").replace("OR", "or").split(", ")
    figures = {"requests": requests, "failures": failures}
    share = eval(then if eval(held, figures) else otherwise, figures)  # our own expression, pure arithmetic
    assert (share >= alarm["Threshold"]) is alarm_raised


def test_alarms_on_log_lines_read_the_logs_of_their_functions(package: Package) -> None:
    assert find_watched_functions(package, "ErrorsLogged") == {"Payment", *SOCKETS, *JOBS}
    assert find_watched_functions(package, "JobsFailing") == WORKERS
    assert find_watched_functions(package, "WechatRefusing") == {"Wechat", "RunOutboxExternal"}
    assert find_watched_functions(package, "SmsBudgetUsedUp") == {"Accounts", "RunOutboxExternal"}
    assert find_watched_functions(package, "CaptchaFailing") == {"Accounts"}
    assert find_watched_functions(package, "CaptchaRejected") == {"Accounts"}
    assert find_watched_functions(package, "PasswordGuessing") == {"Accounts", "Staff"}
    assert find_watched_functions(package, "NotificationQuotaUsedUp") == {"RunOutboxExternal"}
    assert [find_watched_functions(package, f"{worker}Late") for worker in sorted(WORKERS)] == [
        {worker} for worker in sorted(WORKERS)
    ]
    assert (
        len(find_resources(package.template, "AWS::Logs::MetricFilter"))
        == len({*JOBS, *SOCKETS, "Payment"}) + 2 + 2 + 2 + 3 + 3 + 1
    )


def test_job_that_does_not_run_raises_an_alarm(package: Package) -> None:
    """A job that is not started reports no metric, and missing data breaches the threshold."""
    silent = {name.removesuffix("Silent"): one for name, one in find_alarms(package).items() if name.endswith("Silent")}
    for one in silent.values():
        assert (one["MetricName"], one["ComparisonOperator"], one["Threshold"]) == (
            "Invocations",
            "LessThanThreshold",
            1,
        )
        assert one["TreatMissingData"] == "breaching"
    assert {name: one["Period"] for name, one in silent.items() if one["Period"] != 300} == {
        "KeepBookings": 3600,
        "SweepFiles": 3600,
        "SweepIdentity": 86400,
        "WatchCertificates": 86400,
    }


def test_alarms_and_entries_of_the_runbook_correspond(package: Package) -> None:
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    entries = [name for first, *_ in rows for name in re.findall(r"`([^`]+)`", first)]
    names = {
        *find_alarms(package),
        *find_resources(read_stack(ROOT / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm"),
    }
    assert [name for name in names if not any(fnmatchcase(name, one) for one in entries)] == []
    assert [one for one in entries if not any(fnmatchcase(name, one) for name in names)] == []


def test_reserved_concurrency_is_documented(package: Package) -> None:
    reserved = sum(one.get("ReservedConcurrentExecutions", 0) for one in find_functions(package.template).values())
    text = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    assert f"({reserved} are reserved" in " ".join(text.split())
