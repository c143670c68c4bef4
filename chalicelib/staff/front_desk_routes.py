"""Endpoints with which the front desk identifies patients (manager_service). routes.py adds the group's other ones."""

from chalicelib.errors import CONFLICT, NOT_FOUND, REASON_REQUIRED
from chalicelib.http.routing import IdempotencyKeyHeader
from chalicelib.identity.callers import Caller, Role
from chalicelib.staff import front_desk
from chalicelib.staff.access_routes import routes
from chalicelib.staff.front_desk_models import (
    DuplicateCandidate,
    FileBinding,
    MergePatientsRequest,
    MergePatientsResponse,
    PatientMerge,
    ReplaceCardRequest,
    ReplaceCardResponse,
    SplitPatientsRequest,
    SplitPatientsResponse,
    TemporaryPatientRequest,
    TemporaryPatientResponse,
    UnbindMemberRequest,
    VerifyPatientRequest,
    VerifyPatientResponse,
)
from chalicelib.staff.patient_models import PatientQuery

__all__ = ["routes"]  # of the whole group, see routes.py

DESK_ROLES = [Role.SERVICE_STAFF, Role.ADMIN]
NOT_FOUND_OR_CONFLICT = [NOT_FOUND, CONFLICT]


@routes.post(
    "/pati_service/manager_service/verify_patient",
    callers=DESK_ROLES,
    errors=[NOT_FOUND, CONFLICT, REASON_REQUIRED],
)
def verify_patient(caller: Caller, body: VerifyPatientRequest) -> VerifyPatientResponse:
    """核验患者身份

    With the patient's document in hand. A file of the same document and name that is verified already takes the file
    over (merge_id); with another name, 409: compare the two, and use merge_patients. Ask the patient whether the bound
    accounts are theirs. `pati_phone` decides which account is the owner; replacing a confirmed one needs a reason, as
    does a file in storage (10105).
    """
    return front_desk.verify(caller, body)


@routes.post("/pati_service/manager_service/merge_patients", callers=DESK_ROLES, errors=NOT_FOUND_OR_CONFLICT)
def merge_patients(caller: Caller, body: MergePatientsRequest) -> MergePatientsResponse:
    """合并患者档案

    Members, bookings, consultations, documents and labels of `source` move to `target`. If both have bookings in one
    half-day, both stay (`conflicts`). The bound accounts and the owner are notified. Merging again has no effect.
    """
    return front_desk.merge(caller, body)


@routes.post("/pati_service/manager_service/split_patients", callers=DESK_ROLES, errors=NOT_FOUND_OR_CONFLICT)
def split_patients(caller: Caller, body: SplitPatientsRequest) -> SplitPatientsResponse:
    """拆分患者档案

    Undoes a merge: what was moved goes back, and bookings that the moved members have made since. Splitting again has
    no effect.
    """
    return front_desk.split(caller, body)


@routes.get("/pati_service/manager_service/patient_merges", callers=DESK_ROLES, errors=[NOT_FOUND])
def patient_merges(caller: Caller, query: PatientQuery) -> list[PatientMerge]:
    """查询患者档案的合并记录

    As source or target, newest first.
    """
    return front_desk.list_merges(caller, query.pati_id)


@routes.get("/pati_service/manager_service/patient_duplicates", callers=DESK_ROLES, errors=[NOT_FOUND])
def patient_duplicates(caller: Caller, query: PatientQuery) -> list[DuplicateCandidate]:
    """查询疑似重复的患者档案

    Files with the same identity, the same name and birthday, or the same phone; verified ones first. Phones are masked.
    """
    return front_desk.list_candidates(caller, query.pati_id)


@routes.get("/pati_service/manager_service/patient_bindings", callers=DESK_ROLES, errors=[NOT_FOUND])
def patient_bindings(caller: Caller, query: PatientQuery) -> list[FileBinding]:
    """查询关联该档案的账号

    The accounts whose members have the file. Phones are masked.
    """
    return front_desk.list_bindings(caller, query.pati_id)


@routes.post("/pati_service/manager_service/unbind_member", callers=DESK_ROLES, errors=NOT_FOUND_OR_CONFLICT)
def unbind_member(caller: Caller, body: UnbindMemberRequest) -> None:
    """解除就诊人与账号的关联

    The account no longer has the member. Bookings to come move to the account of the file's owner, if there is one;
    otherwise they stay with the account. The account is notified.
    """
    front_desk.unbind_member(caller, body)


@routes.post("/pati_service/manager_service/temporary_patient", callers=DESK_ROLES)
def temporary_patient(
    caller: Caller, body: TemporaryPatientRequest, idempotency_key: IdempotencyKeyHeader
) -> TemporaryPatientResponse:
    """新建临时档案（无名氏）

    For a person in an emergency who is not identified. Merge it into the person's own file later (merge_patients).
    """
    return front_desk.create_temporary(caller, body, idempotency_key)


@routes.post("/pati_service/manager_service/replace_card", callers=DESK_ROLES, errors=NOT_FOUND_OR_CONFLICT)
def replace_card(caller: Caller, body: ReplaceCardRequest) -> ReplaceCardResponse:
    """补办就诊卡

    Returns a new card number; the former one is no longer valid.
    """
    return front_desk.replace_card(caller, body)
