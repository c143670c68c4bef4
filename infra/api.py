"""The REST API: integrations of its routes, access log, throttling and host name."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.http import bodies
from infra import responses
from infra.functions import get_group_resource

Json = dict[str, Any]
Routes = Mapping[tuple[str, str], str]  # (path, method) to the group that serves it

LOG_RETENTION_DAYS = 180  # the Cybersecurity Law of China requires six months

ACCESS_LOG_FIELDS = {
    "request_id": "requestId",
    "at": "requestTimeEpoch",
    "address": "identity.sourceIp",
    "method": "httpMethod",
    "route": "resourcePath",  # as declared; the path and the query string contain ids, tokens and phones
    "status": "status",
    "ms": "responseLatency",
    "function_ms": "integrationLatency",
    "bytes": "responseLength",
    "error": "error.responseType",
}


def build_resources(routes: Routes, api_handler_group: str) -> Json:
    """Build the resources of the REST API. `api_handler_group` is the group that Chalice's API handler serves."""
    log = {"LogGroupName": {"Fn::Sub": "/aws/apigateway/${AWS::StackName}"}, "RetentionInDays": LOG_RETENTION_DAYS}
    return {
        "RestAPI": {"Properties": _build_rest_api(routes, api_handler_group)},
        "AccessLogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": log},
        **_build_domain(),
    }


def _build_rest_api(routes: Routes, api_handler_group: str) -> Json:
    rate = {"ThrottlingRateLimit": {"Ref": "RequestsPerSecond"}, "ThrottlingBurstLimit": {"Ref": "RequestsPerSecond"}}
    no_log = {"LoggingLevel": "OFF", "DataTraceEnabled": False}  # the execution log would contain bodies and tokens
    return {
        "Name": {"Ref": "AWS::StackName"},  # the dimension of its metrics
        "OpenApiVersion": "2.0",  # otherwise SAM creates a second stage named Stage
        "DefinitionBody": {
            "paths": _build_paths(routes, api_handler_group),
            "x-amazon-apigateway-binary-media-types": bodies.BINARY_TYPES,
            "x-amazon-apigateway-gateway-responses": responses.build_gateway_responses(),
        },
        "AccessLogSetting": {
            "DestinationArn": {"Fn::GetAtt": ["AccessLogGroup", "Arn"]},
            "Format": json.dumps({name: f"$context.{value}" for name, value in ACCESS_LOG_FIELDS.items()}),
        },
        "MethodSettings": [{"HttpMethod": "*", "ResourcePath": "/*", **rate, **no_log}],
    }


def _build_paths(routes: Routes, api_handler_group: str) -> Json:
    paths = responses.build_preflights(path for path, _ in routes)
    for (path, method), group in routes.items():
        uri = {"Fn::Sub": _build_invocation_arn(get_group_resource(group, api_handler_group))}
        paths[path][method.lower()] = {"x-amazon-apigateway-integration": {"uri": uri}}
    return paths


def _build_invocation_arn(name: str) -> str:
    lambdas = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions"
    return f"{lambdas}/${{{name}.Arn}}/invocations"


def _build_domain() -> Json:
    """Build the custom domain.

    Chalice could create it from config.json, but then the repository would contain the host name, and the mapping would
    not wait for its stage.
    """
    name = {
        "DomainName": {"Ref": "DomainName"},
        "RegionalCertificateArn": {"Ref": "CertificateArn"},
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
        "SecurityPolicy": "TLS_1_2",
    }
    mapping = {"DomainName": {"Ref": "ApiDomain"}, "RestApiId": {"Ref": "RestAPI"}, "Stage": {"Ref": "RestAPI.Stage"}}
    conditional = {"Condition": "HasDomain"}
    return {
        "ApiDomain": {"Type": "AWS::ApiGateway::DomainName", **conditional, "Properties": name},
        "ApiDomainMapping": {"Type": "AWS::ApiGateway::BasePathMapping", **conditional, "Properties": mapping},
    }
