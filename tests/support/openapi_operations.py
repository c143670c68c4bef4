"""The endpoints as described by the OpenAPI document: example requests and fields that contain ids."""

from dataclasses import dataclass
from typing import Any

from apidocs import endpoints, openapi
from chalicelib.http.routing import Endpoint

Fields = dict[str, Any]

ID_KINDS = {
    **dict.fromkeys(("session_no", "session_id", "msg_session"), "consult"),
    **dict.fromkeys(("conversation_id", "conversation_ids"), "conversation"),
    **dict.fromkeys(("sessionId",), "chat"),
    **dict.fromkeys(("chatGroupId", "groupIds"), "group"),
    **dict.fromkeys(("start_msg_id", "end_msg_id", "msg_id"), "message"),
    **dict.fromkeys(("messageId", "lastId"), "chat_message"),
    **dict.fromkeys(("file_id", "photo_file_id"), "file"),
    **dict.fromkeys(("member_id", "memberId"), "member"),
    **dict.fromkeys(("receiveId", "receiverIds", "sendId", "user_list", "userId"), "patient"),
    **dict.fromkeys(("doctor_id", "doctorId", "user_id"), "doctor"),
    **dict.fromkeys(("pati_id", "source", "target"), "pati"),
    **dict.fromkeys(("label_id", "pati_group_id", "list"), "label"),
    **dict.fromkeys(("dept_id", "deptId"), "dept"),
    **dict.fromkeys(("schedule_id", "scheduleId"), "schedule"),
    **dict.fromkeys(("bookId", "appo_id", "current"), "booking"),
    **dict.fromkeys(("positionId", "youPositionId"), "post"),
    **dict.fromkeys(("tenantId", "receiveEntId", "agencyId"), "tenant"),
    "sessions": "session",
    "key_id": "key",
    "pattern_id": "pattern",
    "closure_id": "closure",
    "makeup_id": "makeup",
    "merge_id": "merge",
    "bindingId": "binding",
    "entryId": "wait",
    "screen_id": "screen",
}
# Fields that identify nothing: positions in a list, which may be any message, and a redundant field of document 002.
NOT_IDS = {
    ("/msg_service/msg/doctor/session_list", "msg_id"),
    ("/msg_service/msg/list", "msg_id"),
    ("/message/withdrawMessage", "chatGroupId"),
}


@dataclass(frozen=True)
class Operation:
    """One endpoint with an example request."""

    method: str
    path: str
    callers: tuple[str, ...]
    example: Fields
    id_fields: tuple[str, ...]  # body, path and query fields with ids
    parameter_locations: dict[str, str]  # path or query, by name, of parameters outside the body

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def list_operations() -> list[Operation]:
    document = openapi.build_document()
    operations = [describe(one.endpoint, document) for one in endpoints.iter_endpoints()]
    return [
        one for one in operations if not one.path.endswith(("notify/{tenantId}", "callback/{tenantId}"))
    ]  # called by WeChat only, and authenticated by a signature


def describe(one: Endpoint, document: Fields) -> Operation:
    raw = document["paths"][one.path][one.method.lower()]
    parameters = [parameter for parameter in raw["parameters"] if parameter.get("in") in ("path", "query")]
    body = raw.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = body.get("schema", {})
    model = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    example = {p["name"]: p["schema"]["examples"][0] for p in parameters if p["required"]} | body.get("example", {})
    locations = {p["name"]: p["in"] for p in parameters}
    names = [name for name in (*locations, *model.get("properties", {})) if name in ID_KINDS]
    names = [name for name in names if (one.path, name) not in NOT_IDS]
    return Operation(one.method, one.path, tuple(sorted(one.callers)), example, tuple(names), locations)


def get_id_kind(operation: Operation, field: str) -> str:
    if operation.path == "/msg_service/msg/set_read":
        return "letter"
    if operation.path.endswith("/sessions/end"):
        return "login"
    if operation.path.endswith(("/change_account_phone", "/confirm_account")):
        return "patient"
    if field == "sendId" and operation.path != "/message/messageAdd":
        return "patient"
    return ID_KINDS[field]
