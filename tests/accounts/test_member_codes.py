"""Codes that verify a member: sent to the phone of the verified file, which only the job knows."""

import json
from datetime import date

import pytest

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import sms_codes
from chalicelib.identity.code_store import CodePurpose
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people import documents, patient_documents, patients, phones
from chalicelib.people.documents import IdType
from chalicelib.people.patients import PatientDetails
from tests.support.accounts_client import request_code
from tests.support.factories import Hospital, create_patient_file
from tests.support.id_numbers import build_unused_id_number
from tests.support.sms_provider import Provider, provider

__all__ = ["provider"]
pytestmark = pytest.mark.store

OWNERS_PHONE = "13800000055"
ADDRESS = "203.0.113.7"


def claim_identity(hospital: Hospital, owners_phone: str | None = OWNERS_PHONE) -> int:
    """Return a member whose file claims an identity, which has a verified file with this phone; None: no such file."""
    lin = hospital.lin
    document = documents.build_document(lin.tenant_id, IdType.RESIDENT_CARD, build_unused_id_number())
    pati_id = create_patient_file(lin, is_verified=False)
    mysql.run_transaction(lambda tx: patient_documents.add(tx, lin.tenant_id, pati_id, document, lin.user_id))
    if owners_phone is not None:
        details = PatientDetails(name="林小雨", gender=2, birthday=date(1990, 5, 17), phone=owners_phone)
        mysql.run_transaction(lambda tx: patients.insert_verified(tx, lin.tenant_id, details, document, None))
    return lin.member_id


def request(hospital: Hospital, member_id: int) -> None:
    sms_codes.request_member_code(hospital.tenant_id, member_id, ADDRESS, f"user:{hospital.lin.user_id}")
    outbox.run_due_jobs(Queue.EXTERNAL)


def is_valid(hospital: Hospital, member_id: int, code: str) -> bool:
    subject = sms_codes.compute_member_subject(hospital.tenant_id, member_id)
    try:
        sms_codes.verify(hospital.tenant_id, subject, CodePurpose.VERIFY_MEMBER, code, ADDRESS)
    except ApiError:
        return False
    return True


def test_code_is_sent_to_the_phone_of_the_verified_file(hospital: Hospital, provider: Provider) -> None:
    member_id = claim_identity(hospital)
    request(hospital, member_id)
    [(phone, code)] = provider.sent
    assert phone == OWNERS_PHONE
    assert is_valid(hospital, member_id, code)
    assert not is_valid(hospital, member_id + 1, code), "a code belongs to one member"


def test_code_is_used_once(hospital: Hospital, provider: Provider) -> None:
    member_id = claim_identity(hospital)
    request(hospital, member_id)
    subject = sms_codes.compute_member_subject(hospital.tenant_id, member_id)
    key = (hospital.tenant_id, subject, CodePurpose.VERIFY_MEMBER)
    code_hash = sms_codes.verify(*key, provider.sent[0][1], ADDRESS)
    mysql.run_transaction(lambda tx: sms_codes.consume(tx, *key, code_hash))
    with pytest.raises(ApiError):
        mysql.run_transaction(lambda tx: sms_codes.consume(tx, *key, code_hash))


@pytest.mark.parametrize("owners_phone", [None, "", "+85291234567"])
def test_nothing_is_sent_without_a_verified_phone(
    hospital: Hospital, provider: Provider, owners_phone: str | None
) -> None:
    member_id = claim_identity(hospital, owners_phone)
    request(hospital, member_id)
    assert provider.sent == []
    sql = "SELECT COUNT(*) FROM codes WHERE tenant_id = %(id)s"
    assert mysql.autocommit.fetch_value(sql, id=hospital.tenant_id) == 1, "checking a code takes as long"


def test_nothing_is_sent_for_a_removed_member(hospital: Hospital, provider: Provider) -> None:
    member_id = claim_identity(hospital)
    removed = "UPDATE members SET live = NULL WHERE member_id = %(id)s AND tenant_id = %(tenant_id)s"
    mysql.autocommit.execute(removed, id=member_id, tenant_id=hospital.tenant_id)
    request(hospital, member_id)
    assert provider.sent == []


@pytest.mark.usefixtures("provider")
def test_limits_of_a_member_are_those_of_a_phone(hospital: Hospital) -> None:
    member_id = claim_identity(hospital)
    request(hospital, member_id)
    with pytest.raises(ApiError) as raised:
        request(hospital, member_id)
    assert raised.value.kind == errors.TOO_MANY_REQUESTS


def test_limits_of_the_phone_apply_silently_and_keep_the_earlier_code(hospital: Hospital, provider: Provider) -> None:
    member_id = claim_identity(hospital)
    request(hospital, member_id)
    first = provider.sent[0][1]
    provider.wait(61)
    assert request_code(hospital, OWNERS_PHONE).status == 200
    request(hospital, member_id)
    assert [phone for phone, _ in provider.sent] == [OWNERS_PHONE, OWNERS_PHONE], "the third one is above the limit"
    assert is_valid(hospital, member_id, first)


def test_member_codes_count_against_the_limits_of_the_phone(hospital: Hospital, provider: Provider) -> None:
    request(hospital, claim_identity(hospital))
    assert request_code(hospital, OWNERS_PHONE).status == 429
    provider.wait(61)
    assert request_code(hospital, OWNERS_PHONE).status == 200


def test_retry_counts_once_and_sends_the_same_code(hospital: Hospital, provider: Provider) -> None:
    member_id, provider.script = claim_identity(hospital), ["lose", "lose", "accept"]
    request(hospital, member_id)
    assert len(provider.sent) == 3
    assert len({code for _, code in provider.sent}) == 1
    sql = "SELECT COUNT(*) FROM code_requests WHERE tenant_id = %(id)s AND phone_blind = %(phone)s"
    phone = phones.compute_blind_index(hospital.tenant_id, OWNERS_PHONE)
    assert mysql.autocommit.fetch_value(sql, id=hospital.tenant_id, phone=phone) == 1
    assert is_valid(hospital, member_id, provider.sent[0][1])


def test_payload_has_no_plain_phone_and_is_bound_to_its_subject(hospital: Hospital, provider: Provider) -> None:
    """Who can change rows cannot let a code for a stranger's phone be sent to their own."""
    assert [request_code(hospital, phone).status for phone in (hospital.lin.phone, OWNERS_PHONE)] == [200, 200]
    rows = mysql.autocommit.fetch_all("SELECT payload FROM outbox ORDER BY outbox_id")
    assert not [row for row in rows if hospital.lin.phone in row["payload"] or OWNERS_PHONE in row["payload"]]
    strangers, own = (json.loads(row["payload"]) for row in rows)
    with pytest.raises(field_encryption.DecryptionError):
        sms_codes.send_code(hospital.tenant_id, {**strangers, "recipient": own["recipient"]})
    sms_codes.send_code(hospital.tenant_id, strangers)
    assert [phone for phone, _ in provider.sent] == [hospital.lin.phone]
