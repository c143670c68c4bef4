"""Who is woken, for what, and what the runbook says of it. Lines that fit the filters:
tests/outbox/test_job_logs.py."""

import re
from fnmatch import fnmatchcase

import pytest

from app import app
from infra.functions import get_resource_name
from tests.bundle.conftest import Package
from tests.support.cloudformation import ROOT, Template, find_functions, find_resources, read_stack

LANES = {"RunOutbox", "RunOutboxExternal"}
JOBS = {get_resource_name(job.name) for job in app.event_sources}
SOCKETS = {get_resource_name(handler.name) for handler in app.websocket_handlers.values()}
EVENTS = {"FileArrived"}  # what comes only when somebody uploads


def alarms(package: Package) -> Template:
    return {name: one["Properties"] for name, one in find_resources(package.template, "AWS::CloudWatch::Alarm").items()}


def watched(package: Package, alarm: str) -> set[str]:
    """The functions whose logs an alarm reads; each filter counts for it what it looks at."""
    wanted = alarms(package)[alarm]
    found = set()
    for filtered in find_resources(package.template, "AWS::Logs::MetricFilter").values():
        [counted] = filtered["Properties"]["MetricTransformations"]
        if counted["MetricName"] == alarm:
            assert (wanted["MetricName"], wanted["Namespace"]) == (alarm, counted["MetricNamespace"])
            log = package.template["Resources"][filtered["Properties"]["LogGroupName"]["Ref"]]
            found.add(log["Properties"]["LogGroupName"]["Fn::Sub"].removeprefix("/aws/lambda/${").removesuffix("}"))
    return found


def test_somebody_is_told_when_the_api_or_a_function_fails(package: Package) -> None:
    every = set(find_functions(package.template)) - {"Migrate"}  # the deployment itself says how that went
    serving = {
        one["Properties"]["FunctionName"]["Ref"]
        for one in find_resources(package.template, "AWS::Lambda::Permission").values()
    }
    wanted = {
        *(f"{name}Crashing" for name in every),
        *(f"{name}{what}" for name in serving for what in ("Throttled", "Slow")),
        *(f"{name}Silent" for name in JOBS - EVENTS),
        *(f"{name}Late" for name in LANES),
    }
    assert set(alarms(package)) == wanted | {"ApiFailing", "ErrorsLogged", "JobsFailing", "WechatRefusing"}
    topic = [{"Fn::ImportValue": {"Fn::Sub": "${Environment}-Alarms"}}]
    assert all(one["AlarmActions"] == one["OKActions"] == topic for one in alarms(package).values())


@pytest.mark.parametrize(
    ("requests", "failures", "woken"),
    [(20, 15, True), (10, 10, True), (20, 3, False), (5000, 90, False), (5000, 100, True), (60, 2, True)],
)
def test_the_api_fails_at_night_as_at_noon(package: Package, requests: int, failures: int, woken: bool) -> None:
    """Few failures among few requests are none; ten are some, however few requests there were."""
    alarm = alarms(package)["ApiFailing"]
    [text] = [one["Expression"] for one in alarm["Metrics"] if "Expression" in one]
    held, then, otherwise = text.removeprefix("IF(").removesuffix(")").replace("OR", "or").split(", ")
    figures = {"requests": requests, "failures": failures}
    share = eval(then if eval(held, figures) else otherwise, figures)  # ours, and arithmetic
    assert (share >= alarm["Threshold"]) is woken


def test_what_no_crash_tells_is_read_from_the_logs_of_those_that_know(package: Package) -> None:
    assert watched(package, "ErrorsLogged") == {"Payment", *SOCKETS, *JOBS}
    assert watched(package, "JobsFailing") == LANES
    assert watched(package, "WechatRefusing") == {"Wechat", "RunOutboxExternal"}
    assert [watched(package, f"{lane}Late") for lane in sorted(LANES)] == [{lane} for lane in sorted(LANES)]
    assert (
        len(find_resources(package.template, "AWS::Logs::MetricFilter"))
        == len({*JOBS, *SOCKETS, "Payment"}) + 2 + 2 + 2
    )


def test_a_job_that_does_not_run_is_missed(package: Package) -> None:
    """Where nobody starts it there is no figure at all: that is what breaks the alarm."""
    silent = {name.removesuffix("Silent"): one for name, one in alarms(package).items() if name.endswith("Silent")}
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


def test_each_alarm_has_its_entry_in_the_runbook_and_each_entry_an_alarm(package: Package) -> None:
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    entries = [name for first, *_ in rows for name in re.findall(r"`([^`]+)`", first)]
    names = {*alarms(package), *find_resources(read_stack(ROOT / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm")}
    assert [name for name in names if not any(fnmatchcase(name, one) for one in entries)] == []
    assert [one for one in entries if not any(fnmatchcase(name, one) for name in names)] == []


def test_the_concurrency_that_is_kept_for_functions_is_what_the_documentation_says(package: Package) -> None:
    kept = sum(one.get("ReservedConcurrentExecutions", 0) for one in find_functions(package.template).values())
    text = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    assert f"({kept} are reserved" in " ".join(text.split())
