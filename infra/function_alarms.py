"""Alarms on the API and its functions. Those on the database and the cache stand in infra/alarms.yaml.

Each has its entry in docs/runbook.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from infra.functions import API_HANDLER, EXTERNAL_OUTBOX, OUTBOX, get_resource_name, import_value

Json = dict[str, Any]

PERIOD_SECONDS = 300
MAX_FAILING_PERCENT = 2  # percent of the requests
SLOW_MS = 2_000  # milliseconds that one request in twenty may reach
LONG_POLL_SLOW_MS = (
    25_000  # the same where requests wait for news on purpose: close to the 29 seconds after which they are cut off
)
MAX_WAIT_SECONDS = {OUTBOX: 300, EXTERNAL_OUTBOX: 900}  # seconds that a job may wait for its turn
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}  # of seconds
# The account's settings at WeChat are wrong, or its daily limit is reached: access_token, app id, secret, our address,
# a right that it does not have.
WECHAT_ACCOUNT_ERRORS = (40001, 40013, 40125, 40164, 45009, 48001)


def build_resources(
    groups: Iterable[str], sockets: Iterable[str], jobs: Iterable[str], rates: Mapping[str, str]
) -> Json:
    """groups, sockets and jobs are names of functions: of those that people wait for, and of those that nobody does.

    `rates` says how often those of the jobs run that have a schedule: "rate(1 minute)".
    """
    alarms = {"ApiFailing": _build_api_error_alarm()}
    sockets = [*sockets]
    for name in [*groups, *sockets]:
        alarms[f"{name}Crashing"] = _build_crash_alarm(name, threshold=5, periods=2)
        alarms[f"{name}Throttled"] = _build_alarm(
            f"{name} is at its concurrency limit: clients get 5XX",
            {**_build_periodic_metric("AWS/Lambda", "Throttles", {"FunctionName": {"Ref": name}}), "Statistic": "Sum"},
            threshold=1,
        )
        alarms[f"{name}Slow"] = _build_alarm(
            f"{name} is slow: look at the database and the cache first",
            {
                **_build_periodic_metric("AWS/Lambda", "Duration", {"FunctionName": {"Ref": name}}),
                "ExtendedStatistic": "p95",
            },
            threshold=LONG_POLL_SLOW_MS if name == API_HANDLER else SLOW_MS,
        )
    jobs = [*jobs]
    crashing = {f"{name}Crashing": _build_crash_alarm(name, threshold=1, periods=1) for name in jobs}
    silent = {f"{name}Silent": _build_not_running_alarm(name, rate) for name, rate in rates.items()}
    return {**alarms, **crashing, **silent, **_build_log_alarms([get_resource_name("payment"), *sockets, *jobs])}


def _build_log_alarms(names: list[str]) -> Json:
    """What nothing dies of, and only lines of a log tell."""
    lanes = [get_resource_name(lane) for lane in MAX_WAIT_SECONDS]
    text = "A job was given up, money needs a person, or a WebSocket met a bug: filter level = 'ERROR' in these logs"
    alarms = _build_log_alarm("ErrorsLogged", names, '{ $.level = "ERROR" }', text)
    text = "Jobs fail for ten minutes or longer, and are tried again: filter event = 'job failed' in the outbox's logs"
    alarms |= _build_log_alarm("JobsFailing", lanes, '{ ($.event = "job failed") && ($.try >= 8) }', text)
    text = (
        "WeChat refuses a hospital's account: filter number > 0 in the logs of wechat and of the outbox's outside lane"
    )
    refused = " || ".join(f"($.number = {number})" for number in WECHAT_ACCOUNT_ERRORS)
    alarms |= _build_log_alarm(
        "WechatRefusing",
        [get_resource_name("wechat"), get_resource_name(EXTERNAL_OUTBOX)],
        f"{{ {refused} }}",
        text,
        threshold=5,
    )
    for lane, seconds in MAX_WAIT_SECONDS.items():
        text = f"What {lane} is to do waits longer than {seconds} seconds: more is promised than done"
        name = f"{get_resource_name(lane)}Late"
        alarms |= _build_log_alarm(
            name, [get_resource_name(lane)], "{ $.late >= 0 }", text, "$.late", "Maximum", seconds, periods=2
        )
    return alarms


def _build_log_alarm(
    alarm: str,
    functions: Iterable[str],
    pattern: str,
    text: str,
    value: str = "1",
    statistic: str = "Sum",
    threshold: int = 1,
    periods: int = 1,
) -> Json:
    """An alarm, and the filters that give it the value of each line of these functions' logs that fits the pattern."""
    namespace = {"Ref": "AWS::StackName"}
    counted = {"MetricNamespace": namespace, "MetricName": alarm, "MetricValue": value}
    lines = {"FilterPattern": pattern, "MetricTransformations": [counted]}
    filters = {
        f"{name}{alarm}Filter": {
            "Type": "AWS::Logs::MetricFilter",
            "Properties": {"LogGroupName": {"Ref": f"{name}LogGroup"}, **lines},
        }
        for name in functions
    }
    metric = {"Namespace": namespace, "MetricName": alarm, "Period": PERIOD_SECONDS, "Statistic": statistic}
    return {**filters, alarm: _build_alarm(text, metric, threshold, periods)}


def _build_not_running_alarm(name: str, rate: str) -> Json:
    """A job that nobody starts crashes no more: no run at all, twice as long as there should be one."""
    count, unit = rate.removeprefix("rate(").removesuffix(")").split()
    period = max(PERIOD_SECONDS, int(count) * UNIT_SECONDS[unit.removesuffix("s")])
    metric = {
        **_build_periodic_metric("AWS/Lambda", "Invocations", {"FunctionName": {"Ref": name}}),
        "Statistic": "Sum",
    }
    alarm = _build_alarm(
        f"{name} does not run any more: look at its rule in EventBridge", {**metric, "Period": period}, 1
    )
    alarm["Properties"] |= {"ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching"}
    return alarm


def _build_crash_alarm(name: str, threshold: int, periods: int) -> Json:
    text = f"{name} dies or runs into its time-out: see its log, level ERROR or 'Task timed out'"
    metric = _build_periodic_metric("AWS/Lambda", "Errors", {"FunctionName": {"Ref": name}})
    return _build_alarm(text, {**metric, "Statistic": "Sum"}, threshold, periods)


def _build_api_error_alarm() -> Json:
    """A share, so that the alarm means the same at night and at noon; a few failures among few requests are none, but
    ten in five minutes are some."""
    dimensions = {"ApiName": {"Ref": "AWS::StackName"}, "Stage": {"Ref": "RestAPI.Stage"}}
    share = {
        "Expression": "IF(requests > 50 OR failures >= 10, 100 * failures / requests, 0)",
        "Label": "% failing",
        "Id": "share",
    }
    parts = {"requests": "Count", "failures": "5XXError"}
    metrics = [
        {
            "Id": part,
            "ReturnData": False,
            "MetricStat": {
                "Metric": _build_metric("AWS/ApiGateway", name, dimensions),
                "Period": PERIOD_SECONDS,
                "Stat": "Sum",
            },
        }
        for part, name in parts.items()
    ]
    text = "Requests end in 5XX: the access log says on which routes, the functions' logs why"
    return _build_alarm(text, {"Metrics": [{**share, "ReturnData": True}, *metrics]}, threshold=MAX_FAILING_PERCENT)


def _build_periodic_metric(namespace: str, name: str, dimensions: Json) -> Json:
    return {**_build_metric(namespace, name, dimensions), "Period": PERIOD_SECONDS}


def _build_metric(namespace: str, name: str, dimensions: Json) -> Json:
    pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, "Dimensions": pairs}


def _build_alarm(text: str, metric: Json, threshold: int, periods: int = 2) -> Json:
    topic = [import_value("Alarms")]
    properties = {
        "AlarmDescription": text,
        **metric,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "EvaluationPeriods": periods,
        "TreatMissingData": "notBreaching",
        "AlarmActions": topic,
        "OKActions": topic,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
