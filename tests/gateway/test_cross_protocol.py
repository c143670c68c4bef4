"""A message of one protocol is shown by the other."""

from chalicelib.messaging import log
from tests.support import multipart_forms
from tests.support.consult_client import (
    create_session,
    list_as_doctor,
    list_as_patient,
    list_doctor_sessions,
    list_texts,
    send_as_doctor,
    send_as_patient,
    send_picture_as_doctor,
    send_picture_as_patient,
    upload_picture,
)
from tests.support.factories import Person
from tests.support.file_samples import VALID
from tests.support.gateway_client import call_on_conversation, get_last_30, list_contents, send


def test_consultation_shows_messages_of_both_protocols(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "我发烧了").data["session_no"]
    send_as_doctor(chen, session_no, "多少度？")
    send(lin, session_no, "三十九度")
    send(chen, session_no, "来医院吧")
    texts = ["我发烧了", "多少度？", "三十九度", "来医院吧"]
    assert list_contents(get_last_30(lin, session_no)) == list_contents(get_last_30(chen, session_no)) == texts
    assert list_texts(list_as_patient(lin, session_no)) == list_texts(list_as_doctor(chen, session_no)) == texts[::-1]
    names = [message["FromSession"] for message in get_last_30(lin, session_no).data["Msg"]]
    assert names == [str(lin.user_id), str(chen.user_id)] * 2


def test_message_ids_are_the_same_in_both_protocols(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    doctors_id = send_as_doctor(chen, session_no, "来复查").data["msg_id"]
    patients_id = send(lin, session_no, "好").data["MsgID"]
    assert [one["MsgId"] for one in get_last_30(lin, session_no).data["Msg"]] == [doctors_id, patients_id]
    assert [one["msg_id"] for one in list_as_patient(lin, session_no).data] == [patients_id, doctors_id]
    assert call_on_conversation(chen, "get_lastone_msgid", session_no).data == {"MsgId": patients_id}


def test_picture_is_shown_as_link_by_gateway(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    send_picture_as_patient(lin, chen, upload_picture(lin, session_no))
    send_picture_as_doctor(chen, session_no, upload_picture(chen, session_no))
    for who in (lin, chen):
        for message in get_last_30(who, session_no).data["Msg"]:
            assert (message["Type"], message["Status"]) == (1, 0)
            assert multipart_forms.send_request("GET", message["Content"]).body == VALID["jpg"]


def test_gateway_image_is_text_for_doctor(lin: Person, chen: Person) -> None:
    """It has no uploaded file."""
    session_no = create_session(lin, chen)
    send(lin, session_no, "https://example.com/a.jpg", type=1, status=2)
    [message] = list_as_doctor(chen, session_no).data
    assert (message["msg_type"], message["message"], message["res_url"]) == (0, "https://example.com/a.jpg", "")


def test_message_is_withdrawn_in_all_protocols(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    picture = send_picture_as_patient(lin, chen, upload_picture(lin, session_no)).data["msg_id"]
    wrong = send(lin, session_no, "说错了", status=4).data["MsgID"]
    get_last_30(chen, session_no)
    for message_id in (picture, wrong):
        log.withdraw(lin.tenant_id, session_no, message_id, lin.principal)
    for who in (lin, chen):
        seen = [(one["Status"], one["Content"]) for one in get_last_30(who, session_no).data["Msg"]]
        assert seen == [(-1, ""), (-1, "")]
    assert list_texts(list_as_doctor(chen, session_no)) == ["", ""]


def test_read_position_is_shared_by_both_protocols(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗").data["session_no"]
    assert list_doctor_sessions(chen)[0]["unread"] == 1
    get_last_30(chen, session_no)
    assert list_doctor_sessions(chen)[0]["unread"] == 0
    send(lin, session_no, "还在吗")
    assert list_doctor_sessions(chen)[0]["unread"] == 1


def test_same_key_in_two_protocols_is_two_messages(lin: Person, chen: Person) -> None:
    """A key is unique per endpoint."""
    session_no = send_as_patient(lin, chen, "在吗", "k1").data["session_no"]
    send(lin, session_no, "在吗", "k1")
    assert list_contents(get_last_30(chen, session_no)) == ["在吗", "在吗"]
