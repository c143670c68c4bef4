"""Create what the examples of the API documentation name, and list ids of the demo data by field and by path.

The requests go through the app's own endpoints (app_client.py).
"""

import json
import secrets
import urllib.request
from collections.abc import Callable
from datetime import timedelta

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import internal_keys
from chalicelib.identity.callers import Role
from devstack.console import print_line
from devstack.demo import visit_day, wechat_account
from devstack.demo.app_client import BOOK_PATH, PATIENT_PATH, STAFF_PATH, Fields, RejectedRequestError
from devstack.demo.app_client import get as _get
from devstack.demo.app_client import post as _post
from devstack.demo.app_client import send as _send
from devstack.fakes.wechat_endpoints import DEMO_ACCOUNTS

EXTERNAL_ID = "demo"  # of the hospital whose ids are listed
CHAT_PATH, MESSAGE_PATH = "/msg_service/msg", "/message"
TENANT_PATH, WECHAT_PATH = "/pati_service/tenant_service", "/pati_service/wechat"
UNUSED_PHONE = "13800000077"
OPEN_ID = "oDemoOpenIdOfLinXiaoyu000001"
AUTH_FILE_NAME, AUTH_FILE_CONTENT = "MP_verify_0a1B2c3D4e5F6g7H.txt", b"0a1B2c3D4e5F6g7H"
CHAT_TEXT: Fields = {"ownType": 1, "title": "", "content": "您好", "item": 0, "type": 0, "link": "", "itemType": 0}
REMOVED_MEMBER: Fields = {
    "name": "林大山",
    "gender": 1,
    "birthday": "1960-03-01",
    "phone": "13800000003",
    "idType": "03",
    "IDNo": "E01234567",
}
UNBOUND_MEMBER: Fields = {**REMOVED_MEMBER, "name": "王大山", "IDNo": "E07654321"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def list_values(demo: Fields) -> dict[str, Fields]:
    """Return values for the fields of examples, by path; those of path "" are for all paths.

    What cannot be created, because a user of the demo has changed its preconditions, is left out.

    Args:
        demo: the content of demo.json, to which the demo's screen is added.
    """
    lin, chen = demo["patients"][0]["token"], demo["doctors"][0]["token"]
    admin, desk = (
        next(one for one in demo["staff"] if one["role"] == role) for role in (Role.ADMIN, Role.SERVICE_STAFF)
    )
    member_id, chen_id = demo["patients"][0]["members"][0]["member_id"], demo["doctors"][0]["doctor_id"]
    zhou_id, lin_id = demo["doctors"][1]["doctor_id"], demo["patients"][0]["user_id"]
    parts: list[Callable[[], dict[str, Fields]]] = [
        lambda: _list_people(demo, member_id, chen_id, zhou_id, lin_id),
        lambda: _begin_sessions(demo["tenant_id"], demo["patients"][0], demo["doctors"][0]),
        lambda: _issue_second_key(demo),
        lambda: _list_records(lin, desk["token"]),
        lambda: _identify_patients(lin, demo["patients"][1]["token"], desk["token"]),
        lambda: _list_consents(lin),
        lambda: _list_site_messages(lin),
        lambda: _create_consultation(lin, chen, member_id, chen_id),
        lambda: _upload_files(lin, chen, demo["session_no"]),
        lambda: _create_conversations(lin, chen),
        lambda: _create_help_desk_chat(lin, chen, desk, chen_id, lin_id),
        lambda: _withdraw_message(lin, admin["token"], chen_id),
        lambda: _list_schedules(desk["token"], chen_id, zhou_id),
        lambda: _book(lin, desk["token"], member_id, chen_id, zhou_id),
        lambda: _wait(lin, demo["patients"][1]["token"], desk["token"], member_id, zhou_id),
        lambda: visit_day.list_values(demo, desk["token"], admin["token"]),
        lambda: _list_wechat_values(admin["token"]),
    ]
    values: dict[str, Fields] = {}
    for part in parts:
        try:
            found = part()
        except (RejectedRequestError, LookupError, TypeError, ValueError, OSError) as error:
            print_line(f"  some examples of /docs keep invented ids: {error!r}")
            continue
        for path, fields in found.items():
            values[path] = {**values.get(path, {}), **fields}
    return values


def _list_people(demo: Fields, member_id: str, chen_id: str, zhou_id: str, lin_id: str) -> dict[str, Fields]:
    unused_phone, wang = {"phone": UNUSED_PHONE}, demo["patients"][1]
    wangs_account = {"user_id": wang["user_id"]}
    return {
        "": {
            **dict.fromkeys(("member_id", "memberId"), member_id),
            **dict.fromkeys(("doctor_id", "doctorId", "receiveId", "sendId"), chen_id),
            **dict.fromkeys(("tenantId", "agencyId"), demo["tenant_id"]),
            "user_id": zhou_id,  # of staff to be disabled, which ends their tokens
            "userId": lin_id,
        },
        f"{STAFF_PATH}/login": {"phone": demo["doctors"][0]["phone"]},
        f"{PATIENT_PATH}/register/phone_identifying_code": unused_phone,
        f"{PATIENT_PATH}/register": unused_phone,
        f"{PATIENT_PATH}/reset_password/phone_identifying_code": {"phone": wang["phone"]},
        f"{STAFF_PATH}/change_account_phone": {**wangs_account, "phone": wang["phone"]},  # changes nothing
        f"{STAFF_PATH}/confirm_account": wangs_account,
        f"{CHAT_PATH}/send": {"user_list": [{"user_id": lin_id}]},
        f"{STAFF_PATH}/missed_block": {"user_id": ""},  # a patient is named
        f"{STAFF_PATH}/clear_missed_block": {"user_id": ""},
        "/inner/get_token": {"session": f"user:{lin_id}"},
    }


def _begin_sessions(tenant_id: str, patient: Fields, doctor: Fields) -> dict[str, Fields]:
    """Sign in once more as each, and return the ids of these sessions, to be ended."""
    values = {}
    for service, person in ((PATIENT_PATH, patient), (STAFF_PATH, doctor)):
        credentials = {"phone": person["phone"], "password": person["password"]}
        headers = [("tenantId", tenant_id), ("Content-Type", "application/json")]
        token = _send("POST", f"{service}/login", headers, json.dumps(credentials).encode())["token"]
        [current] = [one for one in _get(f"{service}/sessions", token) if one["current"]]
        values[f"{service}/sessions/end"] = {"session_id": current["session_id"]}
    return values


def _issue_second_key(demo: Fields) -> dict[str, Fields]:
    """Return the id of a key beside that of demo.json, to be revoked."""
    used = internal_keys.authenticate(demo["internal_key"])
    keys = internal_keys.list_all(mysql.autocommit, used.tenant_id)
    if not any(key.revoked_at is None for key in keys if key.key_id != used.key_id):
        internal_keys.issue(used.tenant_id)
        keys = internal_keys.list_all(mysql.autocommit, used.tenant_id)
    second = next(key for key in keys if key.revoked_at is None and key.key_id != used.key_id)
    return {f"{STAFF_PATH}/revoke_internal_key": {"key_id": str(second.key_id)}}


def _list_records(lin: str, desk: str) -> dict[str, Fields]:
    [member, *_] = _get(f"{PATIENT_PATH}/members", lin)
    removed = _post(f"{PATIENT_PATH}/member", lin, "removed-member", **REMOVED_MEMBER)
    [*_, label] = _get(f"{STAFF_PATH}/list", desk, label_type=1)["list"]
    return {
        "": {"pati_id": member["bindPatiId"], "label_id": label["label_id"]},
        f"{PATIENT_PATH}/member/remove": removed,
        f"{STAFF_PATH}/patient": {"pati_id": ""},  # a new file
        f"{STAFF_PATH}/save_group_label": {"label_id": ""},
    }


def _identify_patients(lin: str, wang: str, desk: str) -> dict[str, Fields]:
    """Merge two pairs of files, one of which is to be split, and let another account have Lin's file."""
    [own, *_] = _get(f"{PATIENT_PATH}/members", lin)
    sources = [_create_file(desk, key) for key in ("merged", "split")]
    split = _post(f"{STAFF_PATH}/merge_patients", desk, source=sources[1], target=own["bindPatiId"], reason="演示")
    bindings = _get(f"{PATIENT_PATH}/member/bindings", lin, memberId=own["memberId"])
    if not bindings:
        claim = {name: own[name] for name in ("name", "gender", "IDNo", "phone")}
        info = _get(f"{STAFF_PATH}/pati_info", desk, pati_id=own["bindPatiId"])
        added = _post(f"{PATIENT_PATH}/member", wang, **claim, birthday=info["pati_birthday"])["memberId"]
        [declared] = [one for one in _get(f"{PATIENT_PATH}/members", wang) if one["memberId"] == added]
        merged = {"source": declared["bindPatiId"], "target": own["bindPatiId"], "reason": "演示"}
        _post(f"{STAFF_PATH}/merge_patients", desk, **merged)
        bindings = _get(f"{PATIENT_PATH}/member/bindings", lin, memberId=own["memberId"])
    unbound = _post(f"{PATIENT_PATH}/member", wang, **UNBOUND_MEMBER)["memberId"]
    return {
        f"{STAFF_PATH}/merge_patients": {"source": sources[0], "target": own["bindPatiId"]},
        f"{STAFF_PATH}/split_patients": {"merge_id": split["merge_id"]},
        f"{STAFF_PATH}/unbind_member": {"member_id": unbound},
        f"{PATIENT_PATH}/member/bindings/remove": {"bindingId": bindings[0]["bindingId"]},
    }


def _create_file(desk: str, key: str) -> str:
    """Return the pati_id of a file without a document."""
    fields = {"pati_name": "林小雨", "pati_gender": 2, "pati_birthday": "1990-05-17", "pati_phone": UNUSED_PHONE}
    return str(_post(f"{STAFF_PATH}/patient", desk, f"file-{key}", **fields)["pati_id"])


def _list_consents(lin: str) -> dict[str, Fields]:
    notice = _get(f"{TENANT_PATH}/privacy_notice", lin)
    return {
        f"{STAFF_PATH}/privacy_notice": {"text": notice["text"]},
        f"{PATIENT_PATH}/consent": {"version": notice["version"]},
    }


def _list_site_messages(lin: str) -> dict[str, Fields]:
    [newest, *_] = _get(f"{CHAT_PATH}/list", lin, status="all")
    return {f"{CHAT_PATH}/list": {"msg_id": ""}, f"{CHAT_PATH}/set_read": {"msg_id": newest["msg_id"]}}


def _create_consultation(lin: str, chen: str, member_id: str, doctor_id: str) -> dict[str, Fields]:
    text = {"member_id": member_id, "doctor_id": doctor_id, "message": "医生您好，我咳嗽三天了。"}
    sent = _post(f"{CHAT_PATH}/patient/send_text_msg", lin, **text)
    reply = {"session_no": sent["session_no"], "message": "您好，有发热吗？"}
    replied = _post(f"{CHAT_PATH}/doctor/send_text_msg", chen, **reply)
    session = dict.fromkeys(("session_no", "session_id", "msg_session"), sent["session_no"])
    return {"": {**session, "msg_id": replied["msg_id"]}}


def _upload_files(lin: str, chen: str, session_no: str) -> dict[str, Fields]:
    """Upload a picture of each: a message may contain only a file of its sender."""
    patients_file, doctors_file = ({"file_id": _upload_file(token, session_no)} for token in (lin, chen))
    return {"": patients_file, f"{CHAT_PATH}/doctor/send_res_msg": doctors_file}


def _upload_file(token: str, session_no: str) -> str:
    request = {"file_extension": "png", "file_type": "image/png", "msg_session": session_no}
    form = _post(f"{CHAT_PATH}/file/pre_upload", token, **request)
    boundary = secrets.token_hex(16)
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in form["fields"].items()]
    parts.append(b'name="file"; filename="demo.png"\r\n\r\n' + PNG)
    head = f"--{boundary}\r\nContent-Disposition: form-data; ".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    urllib.request.urlopen(urllib.request.Request(form["url"], body, headers), timeout=10).close()
    return str(form["fileId"])


def _create_conversations(lin: str, chen: str) -> dict[str, Fields]:
    own, archived, other = (
        _post("/create_conversation", token, key, conversation_type=0)["ConversationId"]
        for token, key in ((lin, "own"), (lin, "archived"), (chen, "other"))
    )
    message = {"conversation_id": own, "content": "大家好", "type": 0, "status": 0}
    message_id = _post("/send_msg", lin, **message)["MsgID"]
    pages = (f"/get_conversation_30msg_{which}_the_id" for which in ("before", "after"))
    return {
        "": {"conversation_id": own, "conversation_ids": [archived], "start_msg_id": message_id},
        **{path: {"msg_id": message_id} for path in pages},
        **{path: {"conversation_id": other} for path in ("/join_conversation", "/leave_conversation")},
    }


def _create_help_desk_chat(lin: str, chen: str, desk: Fields, chen_id: str, lin_id: str) -> dict[str, Fields]:
    [own] = _post(f"{MESSAGE_PATH}/messageAdd", lin, **CHAT_TEXT, receiveId=chen_id)
    [received] = _post(f"{MESSAGE_PATH}/messageAdd", chen, **CHAT_TEXT, receiveId=lin_id)
    posts = {one["userId"]: one["positionId"] for one in _post(f"{MESSAGE_PATH}/postList", desk["token"])}
    post_id = posts[desk["staff_id"]]
    return {
        "": {"sessionId": own["sessionId"], "positionId": post_id, "youPositionId": post_id},
        f"{MESSAGE_PATH}/withdrawMessage": {"messageId": own["messageId"]},
        f"{MESSAGE_PATH}/appraiseMessage": {"messageId": received["messageId"]},
        f"{MESSAGE_PATH}/obtainShunt": {"type": ""},
        f"{MESSAGE_PATH}/savePost": {"userId": desk["staff_id"]},
    }


def _withdraw_message(lin: str, admin: str, chen_id: str) -> dict[str, Fields]:
    [sent] = _post(
        f"{MESSAGE_PATH}/messageAdd", lin, "withdrawn", **{**CHAT_TEXT, "content": "发错了"}, receiveId=chen_id
    )
    _post(f"{MESSAGE_PATH}/withdrawMessage", admin, messageId=sent["messageId"], userType=1)
    return {f"{STAFF_PATH}/withdrawn_message": {"msg_id": sent["messageId"]}}


def _list_schedules(desk: str, chen_id: str, zhou_id: str) -> dict[str, Fields]:
    """Return the next two schedules of a doctor to book, and one of another doctor to stop."""
    first, second, *_ = _find_schedules(desk, chen_id)
    *_, last = _find_schedules(desk, zhou_id)
    [pattern, *_] = _get(f"{STAFF_PATH}/schedule_patterns", desk, doctor_id=zhou_id)["list"]
    saturday = _format_day(104 - clock.today().isoweekday())  # that of the fifteenth week
    leave = {"doctor_id": zhou_id, "from_date": _format_day(80), "to_date": _format_day(81)}
    ended = _post(f"{STAFF_PATH}/save_closure", desk, **{**leave, "to_date": _format_day(82), "reason": "休假"})
    return {
        "": {
            **dict.fromkeys(("dept_id", "deptId"), first["dept_id"]),
            "scheduleId": first["schedule_id"],
            "pattern_id": pattern["pattern_id"],
            "date": first["date"],
            "from_date": first["date"],
            "to_date": second["date"],
        },
        f"{BOOK_PATH}/book/schedule": {"scheduleId": second["schedule_id"]},
        f"{STAFF_PATH}/stop_schedule": {"schedule_id": last["schedule_id"]},
        f"{STAFF_PATH}/save_closure": leave,
        f"{STAFF_PATH}/save_makeup_day": {"date": saturday},
        f"{STAFF_PATH}/end_closure": {"closure_id": ended["closure_id"]},
        f"{STAFF_PATH}/save_schedule": {"schedule_id": "", "date": _format_day(90)},
        f"{STAFF_PATH}/save_schedule_pattern": {"half": "PM", "begin": "14:00", "end": "17:00"},
        f"{STAFF_PATH}/save_department": {"dept_id": ""},
    }


def _book(lin: str, desk: str, member_id: str, chen_id: str, zhou_id: str) -> dict[str, Fields]:
    """Book slots after those days: one to be paid, ordered at WeChat Pay; with Zhou, one to cancel and one to move."""

    def book(schedule_id: str) -> str:
        slot = {"scheduleId": schedule_id, "serialNo": 1, "memberId": member_id}
        return str(_post(f"{BOOK_PATH}/book/submit", lin, schedule_id, **slot)["bookId"])

    schedule_ids = [str(one["schedule_id"]) for one in _find_schedules(desk, chen_id, with_stopped=True)[2:7]]
    paid, cancelled, moved = (book(one) for one in schedule_ids[:3])
    substitutes = [{"schedule_id": one, "doctor_id": zhou_id} for one in schedule_ids[1:3]]
    *_, new = (_post(f"{STAFF_PATH}/substitute_doctor", desk, **one)["schedule_id"] for one in substitutes)
    move = {"bookId": moved, "scheduleId": new}
    pati_id = _get(f"{PATIENT_PATH}/members", lin)[0]["bindPatiId"]
    for_patient = {"pati_id": pati_id, "schedule_id": schedule_ids[3], "receipt_no": ""}
    at_desk = _post(f"{STAFF_PATH}/book_for_patient", desk, **for_patient, serial_no=2)["book_id"]
    order = {"appo_id": paid, "open_id": OPEN_ID}
    ordered = _post(f"{BOOK_PATH}/pay/appo_order", lin, **order)
    names = {"appId": "app_id", "timeStamp": "timestamp", "nonceStr": "nonce_str", "prepayId": "prepay_id"}
    return {
        "": {"bookId": paid},
        f"{BOOK_PATH}/alternatives": {"bookId": moved},
        f"{BOOK_PATH}/book/accept_alternative": {"bookId": moved, "scheduleId": "", "serialNo": None},
        f"{BOOK_PATH}/book/decline_alternative": {"bookId": cancelled},
        f"{BOOK_PATH}/book/cancel": {"bookId": cancelled},
        f"{BOOK_PATH}/book/reschedule": move,
        f"{STAFF_PATH}/reschedule_booking": move,
        f"{STAFF_PATH}/cancel_booking": {"bookId": cancelled},
        f"{STAFF_PATH}/substitute_doctor": substitutes[0],
        f"{STAFF_PATH}/book_for_patient": for_patient,
        f"{STAFF_PATH}/record_receipt": {"bookId": at_desk},
        **{f"{STAFF_PATH}/{name}": {"book_id": paid} for name in ("booking_ledger", "request_refund")},
        f"{BOOK_PATH}/book/confirm": {"bookId": at_desk},
        f"{STAFF_PATH}/add_booking": {**for_patient, "schedule_id": schedule_ids[4]},
        f"{BOOK_PATH}/pay/appo_order": order,
        "/pati_service/wx/jsapi/paysign": {name: ordered[source] for name, source in names.items()},
    }


def _wait(lin: str, wang: str, desk: str, member_id: str, zhou_id: str) -> dict[str, Fields]:
    """Let another patient have the only slot of a half-day, and wait for it."""
    terms: Fields = {
        "doctor_id": zhou_id,
        "date": _format_day(8),
        "half": "AM",
        "begin": "09:00",
        "end": "09:30",
        "slots": 1,
    }
    known = [one for one in _find_schedules(desk, zhou_id) if (one["date"], one["half"]) == (terms["date"], "AM")]
    if not known:
        dept_id = _find_schedules(desk, zhou_id)[0]["dept_id"]
        known = [_post(f"{STAFF_PATH}/save_schedule", desk, **terms, dept_id=dept_id)]
    schedule_id = known[0]["schedule_id"]
    other = _get(f"{PATIENT_PATH}/members", wang)[0]["bindPatiId"]
    _post(f"{STAFF_PATH}/book_for_patient", desk, pati_id=other, schedule_id=schedule_id, serial_no=1)
    join = {"memberId": member_id, "scheduleId": schedule_id, **dict.fromkeys(("deptId", "doctorId"), "")}
    [entry] = _post(f"{BOOK_PATH}/waitlist/join", lin, **join)
    return {f"{BOOK_PATH}/waitlist/join": join, f"{BOOK_PATH}/waitlist/leave": {"entryId": entry["entryId"]}}


def _find_schedules(desk: str, doctor_id: str, with_stopped: bool = False) -> list[Fields]:
    """Return the schedules of a doctor in the ten days from tomorrow, as a rule those that were not stopped."""
    query = {"doctor_id": doctor_id, "from_date": _format_day(1), "to_date": _format_day(10), "page_size": 50}
    found: list[Fields] = _get(f"{STAFF_PATH}/schedules", desk, **query)["list"]
    return sorted((one for one in found if with_stopped or not one["stopped"]), key=lambda one: str(one["date"]))


def _format_day(number: int) -> str:
    """Return the date in so many days."""
    return (clock.today() + timedelta(number)).isoformat()


def _list_wechat_values(admin: str) -> dict[str, Fields]:
    """Upload the file by which WeChat verifies a domain, and return the present configuration, keys masked."""
    app_id, secret = DEMO_ACCOUNTS[EXTERNAL_ID]
    site_url = wechat_account.SITE_URLS[EXTERNAL_ID]
    page = f"{site_url}/book?dept=1"
    merchant = _get(f"{WECHAT_PATH}/pay_conf", admin)
    headers = [("token", admin), ("Content-Type", "application/octet-stream")]
    _send("POST", f"{WECHAT_PATH}/auth_file/upload?file_name={AUTH_FILE_NAME}", headers, AUTH_FILE_CONTENT)
    return {
        f"{WECHAT_PATH}/conf": {"app_id": app_id, "app_secret": secret, "auth_url": site_url},
        f"{WECHAT_PATH}/pay_conf": {name: value for name, value in merchant.items() if name != "notify_url"},
        f"{WECHAT_PATH}/fetch_bill": {"date": _format_day(-1)},
        f"{WECHAT_PATH}/auth_file/upload": {"file_name": AUTH_FILE_NAME},
        "/{file_name}": {"file_name": AUTH_FILE_NAME},
        f"{WECHAT_PATH}/oauth/url": {"redirect_uri": page},
        "/pati_service/wx/jsapi/signature": {"url": page},
    }
