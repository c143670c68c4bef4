"""Whether a metric filter of CloudWatch counts a log line, as far as ours go: comparisons, all && or all ||.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
"""

import json
import operator
import re
from typing import Any

from infra import function_alarms

OPERATORS = {"=": operator.eq, ">=": operator.ge}


def get_pattern(alarm: str) -> str:
    """What the lines of an alarm are found by."""
    every = function_alarms.build_resources([], [], [], {}).values()
    found = [one["Properties"] for one in every if one["Type"] == "AWS::Logs::MetricFilter"]
    [only] = {one["FilterPattern"] for one in found if one["MetricTransformations"][0]["MetricName"] == alarm}
    return str(only)


def matches(pattern: str, line: dict[str, Any]) -> bool:
    comparisons = re.findall(r"\$\.(\w+) (>?=) (\"[^\"]*\"|\d+)", pattern)
    held = [name in line and OPERATORS[how](line[name], json.loads(value)) for name, how, value in comparisons]
    return bool(held) and (any(held) if "||" in pattern else all(held))
