"""The overlay of Chalice's template for `chalice package --merge-template`.

Merging adds and overrides keys and never deletes any; a list replaces a list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra import api, function_alarms, functions, migration, websocket
from infra.api import LOG_RETENTION_DAYS
from infra.functions import MIGRATE

Json = dict[str, Any]


@dataclass(frozen=True)
class Sitemap:
    """The routes, groups, WebSocket handlers and jobs that app.py declares."""

    routes: api.Routes
    groups: tuple[str, ...]
    api_handler_group: str  # the group on Chalice's API handler
    sockets: tuple[str, ...]  # names of the functions that handle WebSocket events
    jobs: Mapping[str, Json]  # event pattern by name of the job, {} for scheduled jobs
    rates: Mapping[str, str]  # schedule expression by name of the job, for scheduled jobs


def build_overlay(stage: str, sitemap: Sitemap, runtime: str, sources: str) -> Json:
    """Build the overlay.

    Args:
        runtime: Lambda's name of the version of Python.
        sources: a digest of the packaged files; a new value triggers the migration.
    """
    groups = {functions.get_group_resource(group, sitemap.api_handler_group): group for group in sitemap.groups}
    sockets = {functions.get_resource_name(one): one for one in sitemap.sockets}
    jobs = {functions.get_resource_name(job): job for job in sitemap.jobs}
    rates = {functions.get_resource_name(job): rate for job, rate in sitemap.rates.items()}
    # Chalice's own name refers to a resource that does not exist.
    api_log = {"LogGroupName": {"Fn::Sub": "/aws/lambda/${APIHandler}"}}
    return {
        "Parameters": _build_parameters(stage),
        "Conditions": {
            "HasDomain": {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]},
            "HasSocketDomain": {"Fn::Not": [{"Fn::Equals": [{"Ref": "SocketDomainName"}, ""]}]},
        },
        "Resources": {
            **api.build_resources(sitemap.routes, sitemap.api_handler_group),
            **websocket.build_resources(),
            "ApiHandlerLogGroup": {"Properties": api_log},
            **{name: functions.build_group_function(group) for name, group in groups.items()},
            **{f"{name}InvokePermission": functions.build_invoke_permission(name) for name in groups},
            **{name: functions.build_group_function(one) for name, one in sockets.items()},
            **{name: functions.build_job_function(job, sitemap.jobs[job]) for name, job in jobs.items()},
            MIGRATE: functions.build_migrate_function(),
            **migration.build_resources(runtime, sources, LOG_RETENTION_DAYS),
            **function_alarms.build_resources(groups, sockets, jobs, rates),
        },
        "Outputs": _build_outputs(),
    }


def _build_parameters(stage: str) -> Json:
    """Build the parameters of the stack, which docs/deployment.md describes."""
    texts = {
        "Environment": (f"zhenxun-{stage}", "Prefix of the values that the stacks of infra/ export"),
        "DomainName": ("", "Host name of the API; empty: the default host name of API Gateway"),
        "SocketDomainName": (
            "",
            "Host name of WebSockets, different from DomainName; empty: the default host name of API Gateway",
        ),
        "CertificateArn": ("", "ARN of the ACM certificate for both host names, in this region"),
        "CertificateAuthorities": (
            "/etc/pki/tls/certs/ca-bundle.crt",
            "File in the Lambda runtime with the root certificates that database and cache are verified against",
        ),
        "SmsProvider": ("", "aliyun or tencent; empty: no codes are sent, so patients cannot sign up"),
        "SmsAppId": ("", "Tencent's SmsSdkAppId"),
        "SmsSign": ("", "SMS signature that the provider has approved"),
        "SmsTemplate": ("", "Approved SMS template: Aliyun's contains ${code}, Tencent's {1}"),
        "SmsNoticeTemplate": (
            "",
            "Approved SMS template without variables, for patients whose file an account was bound to; empty: not sent",
        ),
        "CaptchaAppId": ("", "Tencent's CaptchaAppId; empty: no captchas are required"),
        "TrustedProxies": ("0", "Number of proxies between clients and API Gateway: 1 behind CloudFront"),
        "RequestsPerSecond": ("1000", "Requests per second above which API Gateway responds 429"),
        "SecretsVersion": ("1", "A new value makes CloudFormation read the secrets again"),
    }
    parameters: Json = {
        name: {"Type": "String", "Default": default, "Description": text} for name, (default, text) in texts.items()
    }
    parameters["SmsProvider"]["AllowedValues"] = ["", "aliyun", "tencent"]
    return parameters


def _build_outputs() -> Json:
    return {
        "MigrateFunction": {"Value": {"Ref": MIGRATE}},
        "ApiDomainTarget": {
            "Condition": "HasDomain",
            "Description": "CNAME target for the host name of the API",
            "Value": {"Fn::GetAtt": ["ApiDomain", "RegionalDomainName"]},
        },
        "SocketDomainTarget": {
            "Condition": "HasSocketDomain",
            "Description": "CNAME target for the host name of WebSockets",
            "Value": {"Fn::GetAtt": ["SocketDomain", "RegionalDomainName"]},
        },
    }
