"""A day at the hospital, from sign-up to refund, over HTTP, by a client built from the documents' tables alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from chalicelib.adapters import mysql, sms
from chalicelib.notify import http
from chalicelib.payment import merchants
from chalicelib.settings import settings
from devstack.fakes import wechat_pay
from devstack.fakes.wechat_pay import WeChatPay
from devstack.fuzz import runner
from tests.support import multipart_forms
from tests.support.booking_client import BookingDepartment, create_department, get_iso_date
from tests.support.client import post
from tests.support.documented_client import DocumentedClient, Style
from tests.support.factories import Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.faults.final_state import wait_until
from tests.support.file_samples import VALID
from tests.support.id_numbers import build_id_number
from tests.support.payment_client import CONF_PATH, OPENID, build_conf
from tests.support.wechat_client import CONF_FIELDS

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes")

PHONE, PASSWORD, NEW_PASSWORD = "13800000077", "Neues-12345", "Anderes-12345"
PATIENT, TENANT, BOOK = (f"/pati_service/{name}" for name in ("patient_service", "tenant_service", "book_service"))
STAFF, WECHAT, CHAT = "/pati_service/manager_service", "/pati_service/wechat", "/msg_service/msg"


@dataclass(frozen=True)
class Day:
    """What the steps of the day share."""

    client: DocumentedClient
    hospital: Hospital
    department: BookingDepartment
    pay: WeChatPay
    read_codes: Callable[[], list[str]]

    @property
    def visitor(self) -> dict[str, str]:
        return {"tenantId": str(self.hospital.tenant_id)}

    def wait_for_code(self, number: int) -> str:
        wait_until(lambda: len(self.read_codes()) >= number)
        return self.read_codes()[-1]


def build_token_header(person: Person) -> dict[str, str]:
    return {"token": person.token}


@pytest.fixture(params=list(Style))
def day(
    request: pytest.FixtureRequest, hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Day]:
    """A served app, the fake WeChat Pay, a file that receives SMS codes, and a hospital with a department."""
    file = tmp_path / "sms"
    file.touch()
    monkeypatch.setattr(http, "settings", replace(settings, long_poll_seconds=0.01))
    monkeypatch.setattr(sms, "settings", replace(settings, sms=replace(settings.sms, file_path=str(file))))
    with runner.run_app() as url, wechat_pay.replace_real_server() as pay, requests.Session() as session:
        session.trust_env = False
        monkeypatch.setattr(merchants, "settings", replace(settings, public_url=url))
        pay.settles_refunds_at_once = True
        client = DocumentedClient(url, request.param, session)
        yield Day(
            client,
            hospital,
            create_department(hospital),
            pay,
            lambda: [line.split()[2] for line in file.read_text("utf-8").splitlines()],
        )
    mysql.autocommit.execute("DELETE FROM outbox WHERE pending = 1")


def test_a_day_from_sign_up_to_refund(day: Day) -> None:
    configure_wechat(day)
    patient = sign_up(day)
    member_id = add_member(day, patient)
    session_no = consult(day, patient, member_id)
    exchange_files(day, patient, member_id, session_no)
    read_site_messages(day, patient)
    manage_patient_files(day)
    use_messagecenter(day, patient)
    use_gateway(day)
    book_id = book_slot(day, patient, member_id)
    pay_and_cancel(day, patient, book_id)
    leave(day, patient)


def configure_wechat(day: Day) -> None:
    admin = build_token_header(day.hospital.admin)
    day.client.post(f"{WECHAT}/conf", admin, **CONF_FIELDS)
    saved = day.client.get(f"{WECHAT}/conf", admin)
    day.client.post(f"{WECHAT}/conf", admin, **saved)  # with the masked secret
    assert day.client.get(f"{WECHAT}/conf", admin) == saved
    for template in day.client.get(f"{WECHAT}/template_id", admin):
        day.client.post(f"{WECHAT}/template_id", admin, **template)
    merchant = day.pay.add_merchant(appid=CONF_FIELDS["app_id"])
    assert post(CONF_PATH, day.hospital.admin.token, **build_conf(merchant)).data is None


def sign_up(day: Day) -> dict[str, str]:
    """Register, reset and change the password, sign out and in; return the credentials."""
    day.client.get(f"{PATIENT}/register/phone_identifying_code", day.visitor, phone=PHONE)
    code = day.wait_for_code(1)
    day.client.post(f"{PATIENT}/register", day.visitor, phone=PHONE, verCode=code, password=PASSWORD)
    signed_in = day.client.post(f"{PATIENT}/login", day.visitor, phone=PHONE, password=PASSWORD)
    patient = {"token": signed_in["token"]}
    day.client.post(f"{PATIENT}/change_password", patient, oldPassword=PASSWORD, newPassword=NEW_PASSWORD)
    signed_in = day.client.post(f"{PATIENT}/login", day.visitor, phone=PHONE, password=NEW_PASSWORD)
    mine = day.client.get(f"{PATIENT}/myinfo", {"token": signed_in["token"]})
    assert (mine["name"], mine["birthday"]) == ("", None)
    fields = {name: "" if mine[name] is None else mine[name] for name in ("name", "gender")}
    day.client.post(f"{PATIENT}/myinfo", {"token": signed_in["token"]}, **fields, birthday="1990-05-17")
    return {"token": signed_in["token"]}


def add_member(day: Day, patient: dict[str, str]) -> str:
    person = {"name": "林小雨", "gender": 2, "birthday": "1990-05-17", "phone": PHONE}
    member_id = str(day.client.post(f"{PATIENT}/member", patient, **person, IDNo=build_id_number())["memberId"])
    [member] = day.client.get(f"{PATIENT}/members", patient)
    assert (member["memberId"], member["name"]) == (member_id, "林小雨")
    return member_id


def consult(day: Day, patient: dict[str, str], member_id: str) -> str:
    """Exchange texts with a doctor; return the session_no."""
    doctor = build_token_header(day.hospital.chen)
    pair = {"member_id": member_id, "doctor_id": day.hospital.chen.user_id}
    session_no = str(day.client.post(f"{CHAT}/patient/insert_session", patient, **pair)["session_no"])
    assert [one["session_no"] for one in day.client.get(f"{CHAT}/patient/session_list", patient)] == [session_no]
    assert day.client.get(f"{CHAT}/doctor/session_list", doctor, page_size=10)[0]["last_message"] == ""
    sent = day.client.post(f"{CHAT}/patient/send_text_msg", patient, **pair, message="医生您好，发烧两天 & 咳嗽=?")
    assert sent["session_no"] == session_no
    day.client.post(f"{CHAT}/doctor/send_text_msg", doctor, session_no=session_no, message="多少度？")
    messages = day.client.get(
        f"{CHAT}/patient/msg_list", patient, session_no=session_no, page_size=10, member_id=member_id
    )
    assert [one["message"] for one in messages] == ["多少度？", "医生您好，发烧两天 & 咳嗽=?"]
    assert len(day.client.get(f"{CHAT}/doctor/msg_list", doctor, session_no=session_no, page_size=10)) == 2
    newest = day.client.get(f"{CHAT}/patient/new_msg", patient, session_no=session_no, member_id=member_id)
    assert newest["message"] == day.client.get(f"{CHAT}/doctor/new_msg", doctor, session_no=session_no)["message"]
    assert day.client.get(f"{CHAT}/patient/new_session", patient)["session_no"] == session_no
    assert day.client.get(f"{CHAT}/doctor/new_session", doctor)["session_no"] == session_no
    return session_no


def exchange_files(day: Day, patient: dict[str, str], member_id: str, session_no: str) -> None:
    doctor = build_token_header(day.hospital.chen)
    picture = {"file_extension": "jpg", "file_type": "image/jpeg"}
    file_ids = []
    for path, person in ((f"{CHAT}/file/pre_upload", patient), (f"{CHAT}/doctor/file/pre_upload", doctor)):
        form = day.client.post(path, person, **picture, msg_session=session_no)
        assert multipart_forms.post_form(form["url"], list(form["fields"].items()), VALID["jpg"]).status == 204
        file_ids.append(form["fileId"])
    day.client.post(f"{CHAT}/doctor/file/upload_access", doctor, file_id=file_ids[1])
    pair = {"member_id": member_id, "doctor_id": day.hospital.chen.user_id}
    day.client.post(f"{CHAT}/patient/send_res_msg", patient, **pair, file_id=file_ids[0])
    day.client.post(f"{CHAT}/doctor/send_res_msg", doctor, session_no=session_no, file_id=file_ids[1])
    day.client.post(f"{PATIENT}/myinfo/upload_picture", patient, **picture)
    day.client.post(f"{CHAT}/patient/session_del", patient, session_id=session_no)
    assert day.client.get(f"{CHAT}/patient/session_list", patient) == []


def read_site_messages(day: Day, patient: dict[str, str]) -> None:
    user_id = day.client.post(f"{PATIENT}/login", day.visitor, phone=PHONE, password=NEW_PASSWORD)["userId"]
    for text in ("明日停水", "后天停水"):
        day.client.post(
            f"{CHAT}/send",
            build_token_header(day.hospital.desk),
            tenantId=day.hospital.tenant_id,
            msg_text=text,
            user_list=[{"user_id": user_id}, {"user_id": day.hospital.chen.user_id}],
        )
    newest, _ = day.client.get(f"{CHAT}/list", patient)
    day.client.post(f"{CHAT}/set_read", patient, msg_id=newest["msg_id"])
    assert [one["msg_text"] for one in day.client.get(f"{CHAT}/list", patient)] == ["明日停水"]
    day.client.post(f"{CHAT}/all_set_read", patient, userId=user_id)
    assert day.client.get(f"{CHAT}/list", patient) == []


def manage_patient_files(day: Day) -> None:
    desk = build_token_header(day.hospital.desk)
    for label_type, name in ((1, "慢病"), (2, "高血压")):
        day.client.post(f"{STAFF}/save_group_label", desk, label_name=name, label_type=label_type)
    [label] = day.client.get(f"{STAFF}/list", desk, label_type=2)["list"]
    person = {"pati_name": "王小明", "pati_gender": 1, "pati_birthday": "2015-01-05", "pati_phone": PHONE}
    pati_id = day.client.post(f"{STAFF}/patient", desk, **person, list=[label])["pati_id"]
    found = day.client.get(f"{STAFF}/pati_info", desk, pati_id=pati_id)
    assert (found["pati_name"], found["list"], found["cont_relation"]) == ("王小明", [label], None)
    documented = {name: found[name] for name in ("pati_id", *person, "list", "pati_address", "cont_name")}
    assert day.client.post(f"{STAFF}/patient", desk, **documented)["pati_id"] == pati_id
    counted = day.client.get(f"{STAFF}/list_person_count", desk, label_type=2, order_type=1)
    assert [one["person_number"] for one in counted["list"]] == [1]
    day.client.post(f"{STAFF}/del_group_label", desk, label_id=label["label_id"], label_type=2)
    assert day.client.get(f"{STAFF}/doctor_list", desk, page_num=1, page_size=10)["total"] == 1


def use_messagecenter(day: Day, patient: dict[str, str]) -> None:
    chen = day.hospital.chen
    user_id = day.client.post(f"{PATIENT}/login", day.visitor, phone=PHONE, password=NEW_PASSWORD)["userId"]
    doctor, acting = build_token_header(chen), {"newUserId": user_id}
    text = {"title": "咨询", "content": "您好", "item": 0, "type": 0, "link": "", "itemType": 0}
    unread = day.client.post("/message/messageCount", doctor, userType=1)
    sent = day.client.post("/message/messageAdd", patient, ownType=1, **text, receiveId=chen.user_id)
    assert day.client.post("/message/messageCount", doctor, userType=1) == unread + 1
    page = {"msgType": 2, "userType": 1, "pageSize": 10}
    [found] = day.client.post("/message/findMessage", doctor, **page, sendId=user_id)
    assert found["messageId"] == sent[0]["messageId"]
    day.client.post("/message/updateReadById", doctor, sendId=user_id)
    assert day.client.post("/message/messageCount", doctor, userType=1) == 0, "in the consultation too"
    [listed] = day.client.post("/message/conversationList", patient, userType=2, **acting)
    assert listed["sessionId"] == sent[0]["sessionId"]
    day.client.post("/message/withdrawMessage", patient, messageId=sent[0]["messageId"], appid="wx8f2", userType=2)
    session = day.client.post("/message/createChatSession", patient, msgType=3, userType=2, appId="wx8f2")
    day.client.post("/message/closeChatSession", patient, sessionId=session["sessionId"])


def use_gateway(day: Day) -> None:
    service = {"X-Internal-Key": day.hospital.internal_key}
    guo = {"token": day.client.post("/inner/get_token", service, session="guo")}
    created = day.client.post("/inner/create_conversation", service, sessions=["guo", "han"])
    conversation = {"conversation_id": created["ConversationId"]}
    assert day.client.get("/notify", guo, token=guo["token"], protoc="poll") is None
    sent = day.client.post("/send_msg", guo, **conversation, content="在吗")
    assert day.client.get("/notify", guo, token=guo["token"], protoc="poll")["MsgId"] == sent["MsgID"]
    assert len(day.client.post("/get_conversation_last_30_msg", guo, **conversation)["Msg"]) == 1
    assert len(day.client.post("/get_conversation_msg_by_range", guo, **conversation)["Msg"]) == 1
    assert day.client.post("/get_joined_conversation", guo)["Conversations"] == [created["ConversationId"]]
    day.client.post(
        "/inner/set_archive_conversations", service, conversation_ids=[created["ConversationId"]], is_archive=True
    )
    assert day.client.post("/get_conversation_detail", guo, **conversation)["IsArchive"] is True


def book_slot(day: Day, patient: dict[str, str], member_id: str) -> str:
    """Find a slot as a visitor and book it; return the bookId."""
    schedule_id = day.department.create_schedule()
    visitor, dept_id = day.visitor, day.department.dept_id
    assert [one["deptId"] for one in day.client.get(f"{TENANT}/depts", visitor)] == [str(dept_id)]
    [doctor] = day.client.get(f"{TENANT}/schedule_by_date", visitor, deptId=dept_id, date=get_iso_date(1))["list"]
    day.client.get(f"{TENANT}/schedule_by_doctor", visitor, deptId=dept_id)
    chosen = {"deptId": dept_id, "doctorId": doctor["doctorId"]}
    day.client.get(f"{TENANT}/schedule/info", visitor, **chosen)
    offers = day.client.get(f"{TENANT}/schedule", visitor, **chosen, date=get_iso_date(1))
    assert offers["scheduleAM"]["scheduleId"] == schedule_id
    [slot, *_] = day.client.get(f"{TENANT}/schedule/left_appo", visitor, scheduleId=schedule_id)
    slot_fields = {"scheduleId": schedule_id, "serialNo": slot["serialNo"]}
    day.client.post(f"{BOOK}/book/schedule", patient, scheduleId=schedule_id, memberId=member_id)
    assert day.client.post(f"{BOOK}/book/presubmit", patient, **slot_fields)["bookfee"] == 12.5
    return str(day.client.post(f"{BOOK}/book/submit", patient, **slot_fields, memberId=member_id)["bookId"])


def pay_and_cancel(day: Day, patient: dict[str, str], book_id: str) -> None:
    def get_booking() -> Any:
        return day.client.get(f"{BOOK}/book/{{bookId}}", patient, bookId=book_id)

    order = day.client.post(f"{BOOK}/pay/appo_order", patient, appo_id=book_id, open_id=OPENID)
    signed = day.client.post(
        "/pati_service/wx/jsapi/paysign",
        patient,
        agencyId=order["agency_id"],
        tenantId=day.hospital.tenant_id,
        appId=order["app_id"],
        timeStamp=order["timestamp"],
        nonceStr=order["nonce_str"],
        prepayId=order["prepay_id"],
        signType=order["sign_type"],
    )
    assert signed["paySign"]
    day.pay.pay(order["out_trade_no"])
    assert day.pay.send_notification(order["out_trade_no"])[0] in (200, 204)
    [listed] = day.client.get(f"{BOOK}/books", patient)["list"]
    assert (listed["bookId"], listed["visiCharge"], get_booking()["bookStatus"]) == (book_id, 2, 0)
    day.client.post(f"{BOOK}/book/cancel", patient, bookId=book_id)
    assert get_booking()["bookStatus"] == 1
    wait_until(lambda: get_booking()["visiCharge"] == 1)
    assert [refund.state for refund in day.pay.refunds.values()] == ["SUCCESS"]


def leave(day: Day, patient: dict[str, str]) -> None:
    """Sign out; another patient, as a phone gets one code in a minute, resets their password."""
    reset, phone = f"{PATIENT}/reset_password", day.hospital.wang.phone
    day.client.get(f"{reset}/phone_identifying_code", day.visitor, phone=phone)
    code = {"phone": phone, "verCode": day.wait_for_code(2)}
    day.client.post(f"{reset}/phone_identifying_code_validate", day.visitor, **code)
    day.client.post(reset, day.visitor, **code, newPassword=PASSWORD)
    day.client.post(f"{PATIENT}/login", day.visitor, phone=phone, password=PASSWORD)
    day.client.post(f"{PATIENT}/logout", patient)
