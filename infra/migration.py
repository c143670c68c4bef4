"""Migrate the database during a deployment, before any function gets its new code.

All other functions depend on the custom resource Migrated. Its properties change with the sources, so that
CloudFormation invokes Migrator, which invokes migrate. If that fails, the deployment rolls back and the functions stay
unchanged.
"""

from pathlib import Path
from typing import Any

from infra.functions import MIGRATE

Json = dict[str, Any]

TIMEOUT_SECONDS = 900  # the maximum of Lambda; longer than the timeout of migrate


def build_resources(runtime: str, sources: str, log_days: int) -> Json:
    """Build the custom resource and its function. `sources` is a digest of the packaged files."""
    properties = {
        "ServiceToken": {"Fn::GetAtt": ["Migrator", "Arn"]},
        "ServiceTimeout": TIMEOUT_SECONDS + 60,
        "Function": {"Ref": MIGRATE},
        "Sources": sources,
    }
    log = {"LogGroupName": {"Fn::Sub": "/aws/lambda/${Migrator}"}, "RetentionInDays": log_days}
    return {
        "Migrated": {"Type": "Custom::Migration", "DependsOn": "MigratorLogGroup", "Properties": properties},
        "Migrator": {"Type": "AWS::Lambda::Function", "Properties": _build_migrator(runtime)},
        "MigratorLogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": log},
        "MigratorRole": {"Type": "AWS::IAM::Role", "Properties": _build_role()},
    }


def _build_migrator(runtime: str) -> Json:
    return {
        "Runtime": runtime,
        "Architectures": ["arm64"],
        "Handler": "index.handler",
        "Code": {"ZipFile": Path(__file__).with_name("migrator.py").read_text("utf-8")},
        "Role": {"Fn::GetAtt": ["MigratorRole", "Arn"]},
        "Timeout": TIMEOUT_SECONDS,
        "MemorySize": 256,
    }


def _build_role() -> Json:
    logs = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/${AWS::StackName}-*"
    statements = [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Fn::GetAtt": [MIGRATE, "Arn"]}},
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::Sub": logs}},
    ]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "migrate", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}],
    }
