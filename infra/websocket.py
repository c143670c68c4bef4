"""The WebSocket API that Chalice makes: its access log, its limits, and its own host name."""

import json
from typing import Any

from infra.api import LOG_RETENTION_DAYS

Json = dict[str, Any]

ACCESS_LOG_FIELDS = {
    "request_id": "requestId",
    "at": "requestTimeEpoch",
    "address": "identity.sourceIp",
    "connection": "connectionId",
    "event": "eventType",
    "status": "status",
    "function_ms": "integrationLatency",
    "error": "error.responseType",
}


def build_resources() -> Json:
    log = {
        "LogGroupName": {"Fn::Sub": "/aws/apigateway/${AWS::StackName}-websocket"},
        "RetentionInDays": LOG_RETENTION_DAYS,
    }
    return {
        "WebsocketAPI": {"Properties": {"Name": {"Fn::Sub": "${AWS::StackName}-websocket"}}},
        "WebsocketAPIStage": {"Properties": _build_stage()},
        "SocketAccessLogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": log},
        **_build_domain(),
    }


def _build_stage() -> Json:
    rate = {"ThrottlingRateLimit": {"Ref": "RequestsPerSecond"}, "ThrottlingBurstLimit": {"Ref": "RequestsPerSecond"}}
    quiet = {"LoggingLevel": "OFF", "DataTraceEnabled": False}  # API Gateway's own log would hold texts and tokens
    return {
        "AccessLogSettings": {
            "DestinationArn": {"Fn::GetAtt": ["SocketAccessLogGroup", "Arn"]},
            "Format": json.dumps({name: f"$context.{value}" for name, value in ACCESS_LOG_FIELDS.items()}),
        },
        "DefaultRouteSettings": {**rate, **quiet},
    }


def _build_domain() -> Json:
    """A REST API and a WebSocket API cannot share a name."""
    configuration = {
        "CertificateArn": {"Ref": "CertificateArn"},
        "EndpointType": "REGIONAL",
        "SecurityPolicy": "TLS_1_2",
    }
    name = {"DomainName": {"Ref": "SocketDomainName"}, "DomainNameConfigurations": [configuration]}
    mapping = {
        "DomainName": {"Ref": "SocketDomain"},
        "ApiId": {"Ref": "WebsocketAPI"},
        "Stage": {"Ref": "WebsocketAPIStage"},
    }
    conditional = {"Condition": "HasSocketDomain"}
    unlike_its_default = {"Metadata": {"cfn-lint": {"config": {"ignore_checks": ["W1030"]}}}}  # where it has no domain
    return {
        "SocketDomain": {
            "Type": "AWS::ApiGatewayV2::DomainName",
            **conditional,
            **unlike_its_default,
            "Properties": name,
        },
        "SocketDomainMapping": {"Type": "AWS::ApiGatewayV2::ApiMapping", **conditional, "Properties": mapping},
    }
