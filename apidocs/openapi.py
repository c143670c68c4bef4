"""Generate the OpenAPI 3.1 document of all endpoints."""

import json
from collections.abc import Iterator
from typing import Any, Literal

from apidocs import endpoints, examples, responses
from apidocs.endpoints import DocumentedEndpoint
from apidocs.responses import Json
from apidocs.schemas import Schemas, remove_null
from chalicelib.http import envelopes
from chalicelib.http.request_input import FORM_TYPE, JSON_TYPE
from chalicelib.http.routing import RESERVED_PARAMETERS, ActingCaller, CountedResult, RawContent
from chalicelib.identity.callers import Role
from chalicelib.identity.rate_limits import DEFAULT_RATES, RateLimit
from chalicelib.people.roles import format_roles

GROUP_TITLES = {
    "gateway": "会话网关（004）",
    "consult": "医患咨询（000）",
    "inbox": "站内消息（000）",
    "helpdesk": "消息中心（002）",
    "admin": "管理",
    "accounts": "账号与就诊人（003）",
    "booking": "预约挂号（003）",
    "payment": "支付（003）",
    "wechat": "微信公众号（003）",
    "clinic": "医院工作人员（003）",
}
LIMIT_TITLES = {
    RateLimit.MESSAGES: "发送各种消息合计",
    RateLimit.CONVERSATIONS: "创建或打开各种会话合计",
    RateLimit.SEARCHES: "查询各种列表合计",
    RateLimit.OAUTH_STATES: "获取授权地址",
    RateLimit.CONNECTIONS: "打开 WebSocket",
    RateLimit.QUEUES: "查询排队",
}
SECURITY_SCHEMES: Json = {
    "token": {"type": "apiKey", "in": "header", "name": "token", "description": "登录后得到的 token"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "同一个 token，写作 Authorization: Bearer …"},
    "internalKey": {"type": "apiKey", "in": "header", "name": "X-Internal-Key", "description": "属于一个租户"},
}
TENANT_HEADER: Json = {
    "name": "tenantId",
    "in": "header",
    "required": False,
    "description": "租户。可省略：则看访问的域名，或系统中仅有的一个租户",
    "schema": {"type": "string", "pattern": "^[0-9]{1,16}$", "examples": ["1"]},
}
TENANT_PARAMETER: Json = {**TENANT_HEADER, "in": "query", "description": "同请求头 tenantId，二者给出一个即可"}
IDEMPOTENCY_KEY_HEADER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "重试时带上同一个值，只会执行一次；同值而内容不同则 409。空：等于没有",
    "schema": {"type": "string", "maxLength": 128, "pattern": r"^[\x21-\x7e]*$"},
}
ACTING_HEADERS: list[Json] = [
    {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
    for name, description, schema in (
        (
            "newUserId",
            "操作人；用内部密钥时以它（或 entUserId）为准，用 token 时须是本人",
            {"type": "integer", "minimum": 0},
        ),
        ("entUserId", "操作的员工，同上", {"type": "integer", "minimum": 0}),
        ("entId", "租户，须是登录者的", {"type": "string"}),
        ("positionId", "操作人的岗位，0 为没有", {"type": "integer", "minimum": 0}),
        ("appId", "来自哪个应用", {"type": "string", "maxLength": 64}),
    )
]
FILE_SCHEMA: Json = {"type": "string", "format": "binary", "minLength": 1}
UPLOAD_BODY: Json = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": FILE_SCHEMA}, "required": ["file"]},
        },
        "application/octet-stream": {"schema": FILE_SCHEMA},
    },
}
PAYMENT_NOTIFICATION_EXAMPLE: Json = {
    "id": "EV-2018022511223320873",
    "event_type": "TRANSACTION.SUCCESS",
    "resource": {"ciphertext": "…"},
}
PAYMENT_NOTIFICATION_BODY: Json = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": PAYMENT_NOTIFICATION_EXAMPLE},
        "text/xml": {"schema": {"type": "string"}},
    },
}
DESCRIPTION = """诊讯：多租户的医院患者服务、医患沟通与消息网关。

- 成功：`{"code":0,"data":…}`；失败：`{"code":N,"error":"…"}`，没有 `data`（pay/appo_order 的 409 除外）。
- 消息中心（`/message/…`）：成功 `{"error_code":0,"error_msg":"","data":…,"count":N}`，失败同形，`data` 为 null；
- API Gateway 自己的错误（地址不存在、请求过大、太频繁、超时）不分路径，两种字段都有。
- HTTP 状态码与错误码一致；错误码见 docs/errors.md。
- 每个回应都带 `X-Request-Id`；429 与 503 可能带 `Retry-After`（秒）。
- 请求体是 JSON，或 `application/x-www-form-urlencoded` 表单（列表：重复的字段，或其 JSON 文本）。
- 选填的字段为 `null`、`""` 或 `0`，而它们不是有效值时，等于不填；查询参数同此。
- 请求中的编号（id）写作数字或数字文本均可；未知字段被忽略。
- 回应中的键总是存在，没有值时：文本为 `""`，日期、数字、布尔、对象为 null，列表为 `[]`。
"""


def render() -> str:
    """Return the content of docs/openapi.json."""
    return json.dumps(build_document(), ensure_ascii=False, indent=2) + "\n"


def build_document() -> Json:
    """Build the OpenAPI document."""
    every = list(endpoints.iter_endpoints())
    schemas = Schemas(_iter_types(every))
    paths: Json = {}
    for one in every:
        paths.setdefault(one.endpoint.path, {})[one.endpoint.method.lower()] = _build_operation(one, schemas)
    errors = responses.build_shared_errors(every)
    return {
        "openapi": "3.1.0",
        "info": {"title": "诊讯 Zhenxun API", "version": "1.0.0", "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name, "description": GROUP_TITLES[name]} for name in dict.fromkeys(one.group for one in every)
        ],
        "paths": paths,
        "components": {
            "schemas": {
                "Error": responses.ERROR_SCHEMA,
                "MessagecenterError": responses.MESSAGECENTER_ERROR_SCHEMA,
                **schemas.find_used(paths),
            },
            "responses": errors,
            "headers": responses.HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _iter_types(every: list[DocumentedEndpoint]) -> Iterator[tuple[str, Literal["validation", "serialization"], Any]]:
    for one in every:
        for name, kind in one.endpoint.parameters.items():
            if name not in ("caller", "time_left", "upload", "raw_request", "batch"):
                yield f"{one.id}.{name}", "validation", kind
        yield f"{one.id}.response", "serialization", one.endpoint.response_adapter


def _build_operation(one: DocumentedEndpoint, schemas: Schemas) -> Json:
    operation: Json = {
        "tags": [one.group],
        "summary": one.title,
        "description": f"{one.description}\n\n{_format_callers(one)}{_format_limit(one)}".strip(),
        "operationId": one.id,
        "security": _build_security(one),
        "parameters": _build_parameters(one, schemas),
    }
    if "body" in one.endpoint.parameters:
        operation["requestBody"] = _build_request_body(schemas, schemas.get(f"{one.id}.body"))
    if "upload" in one.endpoint.parameters:
        operation["requestBody"] = UPLOAD_BODY
    if "raw_request" in one.endpoint.parameters:
        operation["requestBody"] = PAYMENT_NOTIFICATION_BODY
    operation["responses"] = {"200": _build_success(one, schemas), **responses.build_error_references(one)}
    return operation


def _build_success(one: DocumentedEndpoint, schemas: Schemas) -> Json:
    if one.endpoint.return_type is RawContent:
        return responses.build_raw(one.endpoint.raw_content_type)
    body = schemas.get(f"{one.id}.response")
    fields, example = {"data": body}, {"data": examples.build(schemas, body)}
    if _is_counted(one.endpoint.return_type):
        fields, example = schemas.resolve(body)["properties"], example["data"]
    elif envelopes.is_messagecenter_path(one.endpoint.path):
        fields, example = {**fields, "count": {"const": 0}}, {**example, "count": 0}
    success = responses.build_success(one.endpoint.path, fields, example)
    success["content"] |= {one.endpoint.raw_content_type: {}} if one.endpoint.raw_content_type else {}
    return success


def _is_counted(returns: Any) -> bool:
    return isinstance(returns, type) and issubclass(returns, CountedResult)


def _format_callers(one: DocumentedEndpoint) -> str:
    return "可调用：" + format_roles(one.endpoint.callers)


def _format_limit(one: DocumentedEndpoint) -> str:
    """Describe the rate limit with the numbers of an installation that does not change them."""
    if one.endpoint.limit is None:
        return ""
    rate = DEFAULT_RATES[one.endpoint.limit]
    title = LIMIT_TITLES[one.endpoint.limit]
    return f"\n\n限额（10012）：{title}，每位用户一次最多 {rate.burst} 次，此后每秒 {rate.per_second:g} 次"


def _build_security(one: DocumentedEndpoint) -> list[Json]:
    if Role.PUBLIC in one.endpoint.callers:
        return []
    schemes = ["token", "bearer"] if one.endpoint.callers - {Role.SERVICE} else []
    return [{scheme: []} for scheme in [*schemes, *(["internalKey"] if Role.SERVICE in one.endpoint.callers else [])]]


def _build_parameters(one: DocumentedEndpoint, schemas: Schemas) -> list[Json]:
    parameters = []
    if Role.PUBLIC in one.endpoint.callers:
        parameters += [TENANT_HEADER, TENANT_PARAMETER]
    if one.endpoint.parameters.get("caller") == ActingCaller:
        parameters += ACTING_HEADERS
    for name in one.endpoint.parameters:
        if name not in RESERVED_PARAMETERS:
            schema = schemas.get(f"{one.id}.{name}")
            parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if "query" in one.endpoint.parameters:
        parameters += _build_query_parameters(schemas, schemas.get(f"{one.id}.query"))
    if "last_event_id" in one.endpoint.parameters:
        schema = remove_null(schemas.get(f"{one.id}.last_event_id"))
        parameters.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": schema})
    if "idempotency_key" in one.endpoint.parameters:
        parameters.append(IDEMPOTENCY_KEY_HEADER)
    return parameters


def _build_query_parameters(schemas: Schemas, schema: Json) -> Iterator[Json]:
    model = schemas.resolve(schema)
    for name, field in model["properties"].items():
        field, required = remove_null(field), name in model.get("required", [])
        description = {"description": field["description"]} if "description" in field else {}
        schema = {key: value for key, value in field.items() if key != "description"}
        yield {"name": name, "in": "query", "required": required, **description, "schema": schema}


def _build_request_body(schemas: Schemas, schema: Json) -> Json:
    """Build the request body. It is required unless all of its fields are optional: an empty body means {}."""
    required = bool(schemas.resolve(schema).get("required"))
    content = {"schema": schema, "example": examples.build_request(schemas, schema)}
    return {"required": required, "content": {JSON_TYPE: content, FORM_TYPE: {"schema": schema}}}
