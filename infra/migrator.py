"""Source of the Migrator function: invoke migrate when a deployment changes the code.

CloudFormation invokes it as a custom resource and waits until the response has been sent to ResponseURL.
"""

import json
import urllib.request
from typing import Any

import boto3
from botocore.config import Config

CLIENT_CONFIG = Config(read_timeout=870, retries={"max_attempts": 0})


def handler(event: dict[str, Any], _context: object) -> None:
    """Handle an event of the custom resource."""
    try:
        failure = "" if event["RequestType"] == "Delete" else invoke_migrate(event["ResourceProperties"]["Function"])
    except Exception as error:  # without a response CloudFormation waits until its own timeout
        failure = f"{type(error).__name__}: {error}"
    send_response(event, failure)


def invoke_migrate(function: str) -> str:
    """Invoke migrate and return the error, "" on success."""
    response = boto3.client("lambda", config=CLIENT_CONFIG).invoke(FunctionName=function, Payload=b"{}")
    outcome = response["Payload"].read().decode()
    print(outcome)  # noqa: T201  # this is the function's log
    return outcome if "FunctionError" in response else ""


def send_response(event: dict[str, Any], failure: str) -> None:
    """Report success, or the failure, to CloudFormation."""
    body = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": failure[:1000],
        "PhysicalResourceId": "migration",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The presigned URL is valid for a request with an empty content type.
    headers = {"Content-Type": ""}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), headers, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
