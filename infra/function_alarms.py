"""Alarms on the API and its functions. infra/alarms.yaml contains those on the database and the cache.

docs/runbook.md has an entry for each.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from infra.functions import (
    CAPTCHA_FUNCTION,
    EXTERNAL_OUTBOX,
    LONG_POLLS,
    OUTBOX,
    SIGN_IN_FUNCTIONS,
    SMS_FUNCTIONS,
    get_resource_name,
    import_value,
)

Json = dict[str, Any]

PERIOD_SECONDS = 300
MAX_FAILING_PERCENT = 2  # of the requests
SLOW_MS = 2_000  # 95th percentile
# 95th percentile of the function that serves long polls, close to the timeout of 29 s.
LONG_POLL_SLOW_MS = 25_000
MAX_WAIT_SECONDS = {OUTBOX: 300, EXTERNAL_OUTBOX: 900}  # time between a job's due time and its start
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
# Errors of WeChat that the account's settings cause: access_token, app id, secret, IP allow-list, permission; and its
# daily limit.
WECHAT_ACCOUNT_ERRORS = (40001, 40013, 40125, 40164, 45009, 48001)


def build_resources(
    groups: Iterable[str], sockets: Iterable[str], jobs: Iterable[str], rates: Mapping[str, str]
) -> Json:
    """Build the alarms and the metric filters.

    Args:
        groups: resource names of the functions that serve endpoints; clients wait for them and for `sockets`.
        jobs: resource names of the functions of jobs.
        rates: schedule expression by resource name of a scheduled job, e.g. "rate(1 minute)".
    """
    alarms = {"ApiFailing": _build_api_error_alarm()}
    sockets = [*sockets]
    for name in [*groups, *sockets]:
        alarms[f"{name}Crashing"] = _build_crash_alarm(name, threshold=5, periods=2)
        alarms[f"{name}Throttled"] = _build_alarm(
            f"{name} has reached its concurrency limit: clients get 5XX",
            {**_build_periodic_metric("AWS/Lambda", "Throttles", {"FunctionName": {"Ref": name}}), "Statistic": "Sum"},
            threshold=1,
        )
        alarms[f"{name}Slow"] = _build_alarm(
            f"{name} is slow: check the database and the cache first",
            {
                **_build_periodic_metric("AWS/Lambda", "Duration", {"FunctionName": {"Ref": name}}),
                "ExtendedStatistic": "p95",
            },
            threshold=LONG_POLL_SLOW_MS if name == get_resource_name(LONG_POLLS) else SLOW_MS,
        )
    jobs = [*jobs]
    crashing = {f"{name}Crashing": _build_crash_alarm(name, threshold=1, periods=1) for name in jobs}
    silent = {f"{name}Silent": _build_not_running_alarm(name, rate) for name, rate in rates.items()}
    return {**alarms, **crashing, **silent, **_build_log_alarms([get_resource_name("payment"), *sockets, *jobs])}


def _build_log_alarms(names: list[str]) -> Json:
    """Build alarms on conditions that only log lines report."""
    workers = [get_resource_name(worker) for worker in MAX_WAIT_SECONDS]
    text = "A job was dead-lettered, a payment needs attention, or a WebSocket handler failed: filter level = 'ERROR'"
    alarms = _build_log_alarm("ErrorsLogged", names, '{ $.level = "ERROR" }', text)
    text = "Jobs have failed for ten minutes or longer and are retried: filter event = 'job failed' in the outbox logs"
    alarms |= _build_log_alarm("JobsFailing", workers, '{ ($.event = "job failed") && ($.try >= 8) }', text)
    text = "WeChat rejects a hospital's account: filter errcode > 0 in the logs of wechat and of the external outbox"
    rejected = " || ".join(f"($.errcode = {errcode})" for errcode in WECHAT_ACCOUNT_ERRORS)
    alarms |= _build_log_alarm(
        "WechatRefusing",
        [get_resource_name("wechat"), get_resource_name(EXTERNAL_OUTBOX)],
        f"{{ {rejected} }}",
        text,
        threshold=5,
    )
    text = "A hospital has sent as many SMS as its budget of an hour permits: filter event = 'sms budget used up'"
    pattern = '{ $.event = "sms budget used up" }'
    senders = [get_resource_name(name) for name in SMS_FUNCTIONS]
    alarms |= _build_log_alarm("SmsBudgetUsedUp", senders, pattern, text)
    text = "Many wrong passwords or codes came from one network: filter event = 'many wrong passwords'"
    pattern = '{ $.event = "many wrong passwords" }'
    alarms |= _build_log_alarm(
        "PasswordGuessing", [get_resource_name(name) for name in SIGN_IN_FUNCTIONS], pattern, text
    )
    text = "Tencent does not verify captchas, and codes are sent without: filter event = 'captcha not verified'"
    pattern = '{ $.event = "captcha not verified" }'
    alarms |= _build_log_alarm("CaptchaFailing", [get_resource_name(CAPTCHA_FUNCTION)], pattern, text, threshold=5)
    text = "Tencent rejects captchas, and no request gets a code with one: filter event = 'captcha rejected'"
    pattern = '{ $.event = "captcha rejected" }'
    alarms |= _build_log_alarm("CaptchaRejected", [get_resource_name(CAPTCHA_FUNCTION)], pattern, text, threshold=5)
    text = "A hospital has used up its WeChat messages or SMS of a day: filter event = 'notification quota used up'"
    pattern = '{ $.event = "notification quota used up" }'
    alarms |= _build_log_alarm("NotificationQuotaUsedUp", [get_resource_name(EXTERNAL_OUTBOX)], pattern, text)
    return alarms | _build_late_alarms()


def _build_late_alarms() -> Json:
    """Build the alarms on jobs that wait for long."""
    alarms: Json = {}
    for worker, seconds in MAX_WAIT_SECONDS.items():
        text = f"Jobs of {worker} start more than {seconds} seconds late: more are enqueued than executed"
        name = f"{get_resource_name(worker)}Late"
        alarms |= _build_log_alarm(
            name, [get_resource_name(worker)], "{ $.late >= 0 }", text, "$.late", "Maximum", seconds, periods=2
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
    """Build an alarm and the metric filters that feed it.

    Each log line of these functions that matches the pattern contributes `value`.
    """
    namespace = {"Ref": "AWS::StackName"}
    transformation = {"MetricNamespace": namespace, "MetricName": alarm, "MetricValue": value}
    lines = {"FilterPattern": pattern, "MetricTransformations": [transformation]}
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
    """Build an alarm on a scheduled job that has not run for two periods."""
    count, unit = rate.removeprefix("rate(").removesuffix(")").split()
    period = max(PERIOD_SECONDS, int(count) * UNIT_SECONDS[unit.removesuffix("s")])
    metric = {
        **_build_periodic_metric("AWS/Lambda", "Invocations", {"FunctionName": {"Ref": name}}),
        "Statistic": "Sum",
    }
    alarm = _build_alarm(f"{name} has stopped running: check its rule in EventBridge", {**metric, "Period": period}, 1)
    alarm["Properties"] |= {"ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching"}
    return alarm


def _build_crash_alarm(name: str, threshold: int, periods: int) -> Json:
    text = f"{name} fails or times out: see its log, level ERROR or 'Task timed out'"
    metric = _build_periodic_metric("AWS/Lambda", "Errors", {"FunctionName": {"Ref": name}})
    return _build_alarm(text, {**metric, "Statistic": "Sum"}, threshold, periods)


def _build_api_error_alarm() -> Json:
    """Build an alarm on the percentage of failed requests, which does not depend on the load.

    A few failures among few requests do not count; ten in five minutes do.
    """
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
    text = "Requests end in 5XX: the access log shows the routes, the functions' logs show the errors"
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
