"""What Chalice's template lacks, for `chalice package --merge-template`: Chalice merges it in by itself.

A merge adds and overrides; it never deletes, and a list replaces a list.
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
    """What app.py declares."""

    routes: api.Routes
    groups: tuple[str, ...]
    api_handler_group: str  # the group on Chalice's API handler
    sockets: tuple[str, ...]  # the functions of API Gateway's WebSocket events
    jobs: Mapping[str, Json]  # what runs by itself, by name: the pattern of its events, {} for a schedule
    rates: Mapping[str, str]  # the schedules of those that have one


def build_overlay(stage: str, sitemap: Sitemap, runtime: str, sources: str) -> Json:
    """`sources` is a digest of what is packaged: another one migrates."""
    groups = {functions.get_group_resource(group, sitemap.api_handler_group): group for group in sitemap.groups}
    sockets = {functions.get_resource_name(one): one for one in sitemap.sockets}
    jobs = {functions.get_resource_name(job): job for job in sitemap.jobs}
    rates = {functions.get_resource_name(job): rate for job, rate in sitemap.rates.items()}
    api_log = {"LogGroupName": {"Fn::Sub": "/aws/lambda/${APIHandler}"}}  # Chalice names a resource that is not there
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
        "Outputs": {
            "MigrateFunction": {"Value": {"Ref": MIGRATE}},
            "ApiDomainTarget": {
                "Condition": "HasDomain",
                "Description": "Where the API's own host name must point (CNAME)",
                "Value": {"Fn::GetAtt": ["ApiDomain", "RegionalDomainName"]},
            },
            "SocketDomainTarget": {
                "Condition": "HasSocketDomain",
                "Description": "Where the host name for WebSockets must point (CNAME)",
                "Value": {"Fn::GetAtt": ["SocketDomain", "RegionalDomainName"]},
            },
        },
    }


def _build_parameters(stage: str) -> Json:
    """Name: default and meaning. docs/deployment.md says more."""
    texts = {
        "Environment": (f"zhenxun-{stage}", "Prefix of the values that the stacks of infra/ export"),
        "DomainName": ("", "Host name of the API; empty: the one that API Gateway gives it"),
        "SocketDomainName": ("", "Host name for WebSockets, another one; empty: the one that API Gateway gives them"),
        "CertificateArn": ("", "Certificate of those names in ACM, in this region"),
        "CertificateAuthorities": (
            "/etc/pki/tls/certs/ca-bundle.crt",
            "File inside the functions with the roots that database and cache are checked against",
        ),
        "SmsProvider": ("", "aliyun or tencent; empty: no codes can be sent, and nobody can sign up"),
        "SmsAppId": ("", "Tencent's SmsSdkAppId"),
        "SmsSign": ("", "The signature that the provider has approved"),
        "SmsTemplate": ("", "Its approved template: Aliyun's with ${code}, Tencent's with {1}"),
        "TrustedProxies": ("0", "Proxies between clients and API Gateway: 1 behind CloudFront"),
        "RequestsPerSecond": ("1000", "Above this API Gateway answers 429"),
        "SecretsVersion": ("1", "Any other value has CloudFormation read the secrets again"),
    }
    parameters: Json = {
        name: {"Type": "String", "Default": default, "Description": text} for name, (default, text) in texts.items()
    }
    parameters["SmsProvider"]["AllowedValues"] = ["", "aliyun", "tencent"]
    return parameters
