"""Doctors write to their own patients only, and the list shows who wrote."""

from chalicelib.adapters import mysql
from chalicelib.people import tenants
from tests.support import booking_client, consult_client, factories
from tests.support.factories import Hospital, Person
from tests.support.inbox_client import list_messages, list_rows, list_texts, send, send_as_system


def list_senders(person: Person) -> list[tuple[str, str]]:
    return [(one["sender_id"], one["sender_name"]) for one in list_messages(person)]


def list_texts_of_doctors(person: Person) -> list[str]:
    return [one["msg_text"] for one in list_messages(person) if one["sender_id"] != "0"]


def test_doctor_writes_to_patients_of_their_sessions_and_bookings(
    hospital: Hospital, lin: Person, wang: Person
) -> None:
    department = booking_client.create_department(hospital)
    consult_client.create_session(lin, hospital.chen)
    department.book_slot(wang, department.create_schedule())
    assert send(hospital.chen, "请按时复查", lin, wang).status == 200
    assert list_texts_of_doctors(lin) == list_texts_of_doctors(wang) == ["请按时复查"]


def test_doctor_cannot_write_to_strangers_and_nothing_is_sent(
    hospital: Hospital, other_hospital: Hospital, lin: Person, wang: Person
) -> None:
    """Red team M5: a doctor sent site messages to any account. Colleagues are no patients either."""
    consult_client.create_session(lin, hospital.chen)
    unknown = 2**52
    others = [wang.user_id, hospital.zhou.user_id, hospital.desk.user_id, other_hospital.lin.user_id, unknown]
    response = send(hospital.chen, "点此缴费", user_list=[{"user_id": one} for one in [lin.user_id, *others]])
    assert (response.status, response.code) == (404, 10004)
    assert response.error == f"用户不存在，或不是您的患者：{'、'.join(map(str, sorted(others)))}"
    assert list_texts(lin) == list_texts(wang) == []
    assert list_rows("site_messages", hospital.tenant_id) == []


def test_each_account_of_a_patient_may_be_written_to(hospital: Hospital, lin: Person) -> None:
    department = booking_client.create_department(hospital)
    other = booking_client.create_second_account(department, lin)
    consult_client.create_session(lin, hospital.chen)
    assert send(hospital.chen, "请复查", other).status == 200


def test_removed_member_and_closed_account_end_it(hospital: Hospital, lin: Person) -> None:
    consult_client.create_session(lin, hospital.chen)
    for table, end, undo in (("members", "live = NULL", "live = 1"), ("accounts", "closed_at = 1", "closed_at = NULL")):
        update = f"UPDATE {table} SET {{}} WHERE user_id = {lin.user_id}"
        mysql.autocommit.execute(update.format(end))
        assert send(hospital.chen, "请复查", lin).status == 404
        mysql.autocommit.execute(update.format(undo))
    assert send(hospital.chen, "请复查", lin).status == 200


def test_repeated_request_has_the_result_of_the_first_even_if_the_patient_has_left(
    hospital: Hospital, lin: Person
) -> None:
    department = booking_client.create_department(hospital)
    book_id = department.book_slot(lin, department.create_schedule())
    assert send(hospital.chen, "请复查", lin, key="k1").status == 200
    department.cancel(lin, book_id)
    assert send(hospital.chen, "请复查", lin, key="k1").status == 200
    assert send(hospital.chen, "请复查", lin, key="k2").status == 404
    assert list_texts_of_doctors(lin) == ["请复查"]


def test_list_shows_the_doctor_or_the_hospital_as_sender(hospital: Hospital, lin: Person) -> None:
    consult_client.create_session(lin, hospital.chen)
    send(hospital.chen, "请复查", lin)
    for who in (hospital.desk, hospital.admin):
        send(who, "明日停水", lin)
    send_as_system(hospital, "体检报告已出", lin)
    doctor = (str(hospital.chen.user_id), "陈医生")
    assert list_senders(lin) == [*[("0", tenants.get_name(mysql.autocommit, hospital.tenant_id))] * 3, doctor]


def test_message_of_staff_who_become_doctors_stays_the_hospitals(hospital: Hospital, lin: Person) -> None:
    sun = factories.create_staff(hospital.tenant_id, "13900000005", "孙护士", "service_staff")
    send(sun, "明日停水", lin)
    mysql.autocommit.execute("UPDATE staff SET role = 'doctor' WHERE user_id = %(id)s", id=sun.user_id)
    assert list_senders(lin) == [("0", "仁和医院")]
