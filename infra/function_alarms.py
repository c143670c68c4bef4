"""Alarms on the API and its functions. Those on the database and the cache stand in infra/alarms.yaml."""

from collections.abc import Iterable
from typing import Any

from infra.functions import API_HANDLER, exported, named

Json = dict[str, Any]

FIVE_MINUTES = 300
FAILING = 2  # percent of the requests
SLOW = 2_000  # milliseconds that one request in twenty may reach
STUCK = 25_000  # the same where requests wait for news on purpose: close to the 29 seconds after which they are cut off


def resources(groups: Iterable[str], jobs: Iterable[str]) -> Json:
    """groups and jobs are names of functions: of those that people wait for, and of those that nobody does."""
    alarms = {"ApiFailing": _failing()}
    for name in groups:
        alarms[f"{name}Crashing"] = _crashing(name, threshold=5, periods=2)
        alarms[f"{name}Throttled"] = _alarm(
            f"{name} is at its concurrency limit: clients get 5XX",
            {**_metric("AWS/Lambda", "Throttles", {"FunctionName": {"Ref": name}}), "Statistic": "Sum"},
            threshold=1,
        )
        alarms[f"{name}Slow"] = _alarm(
            f"{name} is slow: look at the database and the cache first",
            {**_metric("AWS/Lambda", "Duration", {"FunctionName": {"Ref": name}}), "ExtendedStatistic": "p95"},
            threshold=STUCK if name == API_HANDLER else SLOW,
        )
    jobs = [*jobs]
    crashing = {f"{name}Crashing": _crashing(name, threshold=1, periods=1) for name in jobs}
    return {**alarms, **crashing, **_calling([named("payment"), *jobs])}


def _calling(names: Iterable[str]) -> Json:
    """Where nothing dies a line of level ERROR calls for a person: a job that was given up, money that is stuck."""
    metric = {"MetricNamespace": {"Ref": "AWS::StackName"}, "MetricName": "ErrorsLogged"}
    lines = {"FilterPattern": '{ $.level = "ERROR" }', "MetricTransformations": [{**metric, "MetricValue": "1"}]}
    filters = {
        f"{name}ErrorsFilter": {
            "Type": "AWS::Logs::MetricFilter",
            "Properties": {"LogGroupName": {"Ref": f"{name}LogGroup"}, **lines},
        }
        for name in names
    }
    summed = {"Namespace": metric["MetricNamespace"], "MetricName": metric["MetricName"], "Period": FIVE_MINUTES}
    text = "A job was given up, or money needs a person: filter level = 'ERROR' in the logs of jobs and of payment"
    return {**filters, "ErrorsLogged": _alarm(text, {**summed, "Statistic": "Sum"}, threshold=1, periods=1)}


def _crashing(name: str, threshold: int, periods: int) -> Json:
    text = f"{name} dies or runs into its time-out: see its log, level ERROR or 'Task timed out'"
    metric = _metric("AWS/Lambda", "Errors", {"FunctionName": {"Ref": name}})
    return _alarm(text, {**metric, "Statistic": "Sum"}, threshold, periods)


def _failing() -> Json:
    """A share, so that the alarm means the same at night and at noon; a few failures among few requests are none."""
    dimensions = {"ApiName": {"Ref": "AWS::StackName"}, "Stage": {"Ref": "RestAPI.Stage"}}
    share = {"Expression": "IF(requests > 50, 100 * failures / requests, 0)", "Label": "% failing", "Id": "share"}
    parts = {"requests": "Count", "failures": "5XXError"}
    metrics = [
        {
            "Id": part,
            "ReturnData": False,
            "MetricStat": {"Metric": _named("AWS/ApiGateway", name, dimensions), "Period": FIVE_MINUTES, "Stat": "Sum"},
        }
        for part, name in parts.items()
    ]
    text = "Requests end in 5XX: the access log says on which routes, the functions' logs why"
    return _alarm(text, {"Metrics": [{**share, "ReturnData": True}, *metrics]}, threshold=FAILING)


def _metric(namespace: str, name: str, dimensions: Json) -> Json:
    return {**_named(namespace, name, dimensions), "Period": FIVE_MINUTES}


def _named(namespace: str, name: str, dimensions: Json) -> Json:
    pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, "Dimensions": pairs}


def _alarm(text: str, metric: Json, threshold: int, periods: int = 2) -> Json:
    topic = [exported("Alarms")]
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
