"""Evaluate CloudWatch metric filters: comparisons joined by && pattern or by || pattern.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
"""

import json
import operator
import re
from typing import Any

from infra import function_alarms

OPERATORS = {"=": operator.eq, ">=": operator.ge}


def get_pattern(alarm: str) -> str:
    """Return the filter pattern of an alarm."""
    resources = function_alarms.build_resources([], [], [], {}).values()
    filters = [one["Properties"] for one in resources if one["Type"] == "AWS::Logs::MetricFilter"]
    [pattern] = {one["FilterPattern"] for one in filters if one["MetricTransformations"][0]["MetricName"] == alarm}
    return str(pattern)


def matches(pattern: str, line: dict[str, Any]) -> bool:
    comparisons = re.findall(r"\$\.(\w+) (>?=) (\"[^\"]*\"|\d+)", pattern)
    results = [name in line and OPERATORS[how](line[name], json.loads(value)) for name, how, value in comparisons]
    return bool(results) and (any(results) if "||" in pattern else all(results))
