"""The WebSocket API that Chalice creates: access log, throttling and host name."""

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
    """Build the resources of the WebSocket API."""
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
    no_log = {"LoggingLevel": "OFF", "DataTraceEnabled": False}  # the execution log would contain texts and tokens
    return {
        "AccessLogSettings": {
            "DestinationArn": {"Fn::GetAtt": ["SocketAccessLogGroup", "Arn"]},
            "Format": json.dumps({name: f"$context.{value}" for name, value in ACCESS_LOG_FIELDS.items()}),
        },
        "DefaultRouteSettings": {**rate, **no_log},
    }


def _build_domain() -> Json:
    """Build the custom domain. A REST API and a WebSocket API cannot share a host name."""
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
    lint = {"Metadata": {"cfn-lint": {"config": {"ignore_checks": ["W1030"]}}}}  # the default "" is no host name
    return {
        "SocketDomain": {
            "Type": "AWS::ApiGatewayV2::DomainName",
            **conditional,
            **lint,
            "Properties": name,
        },
        "SocketDomainMapping": {"Type": "AWS::ApiGatewayV2::ApiMapping", **conditional, "Properties": mapping},
    }
