"""The source of the Migrator function: has the database migrated whenever a deployment brings other code.

CloudFormation calls it as a custom resource, and waits until its answer has been put to ResponseURL.
"""

import json
import urllib.request
from typing import Any

import boto3
from botocore.config import Config

CLIENT_CONFIG = Config(read_timeout=870, retries={"max_attempts": 0})


def handler(event: dict[str, Any], _context: object) -> None:
    try:
        failure = "" if event["RequestType"] == "Delete" else invoke_migrate(event["ResourceProperties"]["Function"])
    except Exception as error:  # an unanswered CloudFormation waits until its own time-out
        failure = f"{type(error).__name__}: {error}"
    send_response(event, failure)


def invoke_migrate(function: str) -> str:
    """Return what went wrong, "" if nothing did."""
    done = boto3.client("lambda", config=CLIENT_CONFIG).invoke(FunctionName=function, Payload=b"{}")
    outcome = done["Payload"].read().decode()
    print(outcome)  # noqa: T201  # this is the function's log
    return outcome if "FunctionError" in done else ""


def send_response(event: dict[str, Any], failure: str) -> None:
    body = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": failure[:1000],
        "PhysicalResourceId": "migration",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The URL is signed for a request without a content type.
    headers = {"Content-Type": ""}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), headers, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
