"""The database is migrated inside the deployment, before any function gets its new code.

Every serving function waits for the custom resource Migrated. It changes with the sources, calls Migrator, which calls
migrate; where that fails, the deployment rolls back and the functions stay as they were.
"""

from pathlib import Path
from typing import Any

from infra.functions import MIGRATE

Json = dict[str, Any]

TIMEOUT_SECONDS = 900  # seconds: the most that Lambda allows, and more than migrate has


def build_resources(runtime: str, sources: str, log_days: int) -> Json:
    """`sources` is a digest of what is packaged."""
    change = {
        "ServiceToken": {"Fn::GetAtt": ["Migrator", "Arn"]},
        "ServiceTimeout": TIMEOUT_SECONDS + 60,
        "Function": {"Ref": MIGRATE},
        "Sources": sources,
    }
    log = {"LogGroupName": {"Fn::Sub": "/aws/lambda/${Migrator}"}, "RetentionInDays": log_days}
    return {
        "Migrated": {"Type": "Custom::Migration", "DependsOn": "MigratorLogGroup", "Properties": change},
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
    may = [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Fn::GetAtt": [MIGRATE, "Arn"]}},
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::Sub": logs}},
    ]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "migrate", "PolicyDocument": {"Version": "2012-10-17", "Statement": may}}],
    }
