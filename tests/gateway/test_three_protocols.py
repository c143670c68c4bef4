"""What is said under one protocol is there under the other."""

from chalicelib.messaging import log
from tests.consult.chat import ask, opened, reply, seen_by_doctor, seen_by_patient, sessions_of_doctor, texts
from tests.consult.test_send_res_msg import show, show_as_doctor, uploaded
from tests.files import forms
from tests.files.samples import GOOD
from tests.gateway.talk import asked, contents, last_30, send
from tests.people import Person


def test_a_consultation_is_one_talk_whoever_speaks_how(lin: Person, chen: Person) -> None:
    session_no = ask(lin, chen, "我发烧了").data["session_no"]
    reply(chen, session_no, "多少度？")
    send(lin, session_no, "三十九度")
    send(chen, session_no, "来医院吧")
    talk = ["我发烧了", "多少度？", "三十九度", "来医院吧"]
    assert contents(last_30(lin, session_no)) == contents(last_30(chen, session_no)) == talk
    assert texts(seen_by_patient(lin, session_no)) == texts(seen_by_doctor(chen, session_no)) == talk[::-1]
    names = [message["FromSession"] for message in last_30(lin, session_no).data["Msg"]]
    assert names == [str(lin.user_id), str(chen.user_id)] * 2


def test_ids_are_the_same(lin: Person, chen: Person) -> None:
    session_no = opened(lin, chen)
    told = reply(chen, session_no, "来复查").data["msg_id"]
    asked_for = send(lin, session_no, "好").data["MsgID"]
    assert [one["MsgId"] for one in last_30(lin, session_no).data["Msg"]] == [told, asked_for]
    assert [one["msg_id"] for one in seen_by_patient(lin, session_no).data] == [asked_for, told]
    assert asked(chen, "get_lastone_msgid", session_no).data == {"MsgId": asked_for}


def test_a_picture_is_its_link_under_the_gateway(lin: Person, chen: Person) -> None:
    session_no = opened(lin, chen)
    show(lin, chen, uploaded(lin, session_no))
    show_as_doctor(chen, session_no, uploaded(chen, session_no))
    for who in (lin, chen):
        for message in last_30(who, session_no).data["Msg"]:
            assert (message["Type"], message["Status"]) == (1, 0)
            assert forms.ask("GET", message["Content"]).body == GOOD["jpg"]


def test_an_image_of_the_gateway_is_text_to_a_doctors_page(lin: Person, chen: Person) -> None:
    """It has no file of ours."""
    session_no = opened(lin, chen)
    send(lin, session_no, "https://example.com/a.jpg", type=1, status=2)
    [message] = seen_by_doctor(chen, session_no).data
    assert (message["msg_type"], message["message"], message["res_url"]) == (0, "https://example.com/a.jpg", "")


def test_a_withdrawn_message_is_withdrawn_everywhere(lin: Person, chen: Person) -> None:
    session_no = opened(lin, chen)
    picture = show(lin, chen, uploaded(lin, session_no)).data["msg_id"]
    wrong = send(lin, session_no, "说错了", status=4).data["MsgID"]
    last_30(chen, session_no)
    for message_id in (picture, wrong):
        log.withdraw(lin.tenant_id, session_no, message_id, lin.principal)
    for who in (lin, chen):
        seen = [(one["Status"], one["Content"]) for one in last_30(who, session_no).data["Msg"]]
        assert seen == [(-1, ""), (-1, "")]
    assert texts(seen_by_doctor(chen, session_no)) == ["", ""]


def test_reading_under_one_is_reading_under_the_other(lin: Person, chen: Person) -> None:
    session_no = ask(lin, chen, "在吗").data["session_no"]
    assert sessions_of_doctor(chen)[0]["unread"] == 1
    last_30(chen, session_no)
    assert sessions_of_doctor(chen)[0]["unread"] == 0
    send(lin, session_no, "还在吗")
    assert sessions_of_doctor(chen)[0]["unread"] == 1


def test_one_key_under_two_protocols_is_two_messages(lin: Person, chen: Person) -> None:
    """A key belongs to its endpoint."""
    session_no = ask(lin, chen, "在吗", "k1").data["session_no"]
    send(lin, session_no, "在吗", "k1")
    assert contents(last_30(chen, session_no)) == ["在吗", "在吗"]
