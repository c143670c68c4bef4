"""Create and change patient files as staff, who see a person's document.

A new file with a document that staff have seen is verified, unless the person has a verified file already, which is
changed then. Changing a self-declared file does not verify it.
"""

from dataclasses import dataclass, replace

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http import identity_fields
from chalicelib.identity.callers import Caller, Role
from chalicelib.outbox import outbox
from chalicelib.patient_identity import file_phones, member_moves, verification
from chalicelib.patient_identity.verification import DocumentConflictError
from chalicelib.people import (
    documents,
    double_submission,
    names,
    patient_documents,
    patients,
    phones,
)
from chalicelib.people.documents import Document, IdType
from chalicelib.people.patient_documents import StoredDocument
from chalicelib.people.patient_status import PatientStatus, VerificationMethod
from chalicelib.people.patients import Patient, PatientDetails
from chalicelib.staff import file_access, labels, patient_guardians, store
from chalicelib.staff.label_models import Label
from chalicelib.staff.labels import LabelKind
from chalicelib.staff.patient_guardians import GuardianForm
from chalicelib.staff.patient_models import SavePatientRequest, SavePatientResponse
from chalicelib.staff.store import AccessAction, LabelRecord

MAX_TRIES = 3  # while concurrent requests verify other files with the same document
COUNTRY_HINT = "；如是不同国家的证件，请登记各自的签发国"
OPTIONAL_DETAILS = {
    **{f"pati_{name}": name for name in ("province", "city", "county", "address")},
    **{name: name for name in ("cont_name", "cont_relation", "cont_phone")},
}


@dataclass(frozen=True, slots=True)
class PatientForm:
    """A form with its documents and guardian, validated."""

    request: SavePatientRequest
    primary: Document | None
    further: list[Document] | None  # None: the form does not change them
    unseen: frozenset[bytes]  # number_blind of documents that staff do not have in hand
    guardian: GuardianForm | None
    idempotency_key: str | None

    @property
    def documents(self) -> list[Document]:
        """All documents of the form, each once, the primary one first."""
        listed = [*([self.primary] if self.primary else []), *(self.further or [])]
        return list({(one.number_blind, one.country): one for one in listed}.values())

    def is_seen(self, document: Document) -> bool:
        """Return whether staff have a document in hand; else it is entered only, and proves nothing."""
        return document.number_blind not in self.unseen


def save(caller: Caller, request: SavePatientRequest, idempotency_key: str | None) -> SavePatientResponse:
    """Create a file, or change the one with this pati_id or the verified one with this document and name.

    Args:
        idempotency_key: a later request with the same key and content returns the file that the first one created.
            Without a key, so does an equal request of the same person within seconds.

    Raises:
        ApiError: 400 if a document is invalid or contradicts birthday or gender; 403 (REASON_REQUIRED) if the caller
            may change the file for a reason only; 404 if the tenant has no such file, group or label; 409 if a verified
            file with a document is of another person or name, if the file was merged, or if another request had this
            key.
    """
    field_encryption.preload_keys()
    form = _parse(caller, request, idempotency_key)
    with verification.audit_conflicts(caller, request.pati_id):
        pati_id, patient_labels = _save(caller, form)
    outbox.wake_worker()
    shown = build_labels(patient_labels)
    first = shown[0] if shown else Label(label_name="", label_id="")
    return SavePatientResponse(pati_id=str(pati_id), label_name=first.label_name, label_id=first.label_id, list=shown)


def _save(caller: Caller, form: PatientForm) -> tuple[int, list[LabelRecord]]:
    """Return the file and its labels."""
    tries = MAX_TRIES
    while True:
        try:
            return mysql.run_transaction(lambda tx: _create_or_update(tx, caller, form))
        except mysql.DuplicateKeyError as error:
            tries -= 1
            if error.key == "idempotency_key":
                return mysql.run_autocommit(lambda tx: _get_earlier_result(tx, caller, form))
            if error.key != "identity" or not tries:
                raise


def build_labels(patient_labels: list[LabelRecord]) -> list[Label]:
    """Return the labels among the groups and labels of a patient."""
    return [
        Label(label_name=label.name, label_id=str(label.label_id))
        for label in patient_labels
        if label.label_type == LabelKind.LABEL
    ]


def _parse(caller: Caller, request: SavePatientRequest, idempotency_key: str | None) -> PatientForm:
    def build(id_type: str, number: str, country: str, field: str) -> Document:
        parsed = parse_protocol_type(id_type, f"{field}_type")
        try:
            normalized = documents.normalize_number(parsed, number)
            documents.require_match(parsed, normalized, request.pati_birthday, request.pati_gender)
        except ValueError as error:
            raise ApiError(errors.BAD_PARAMETER, f"{field}_number：{error}") from None
        code = identity_fields.parse_country(parsed, country, f"{field}_country")
        return documents.build_document(caller.tenant_id, parsed, normalized, code)

    if not request.pati_id:
        _require_details(request)
    number, listed = request.pati_id_number.strip(), request.documents
    primary = build(request.pati_id_type, number, request.pati_id_country, "pati_id") if number else None
    named = [build(one.id_type, one.id_number, one.id_country, "documents.id") for one in listed or []]
    further = None if listed is None else named
    pairs = zip(further or [], listed or [], strict=True)
    unseen = [document.number_blind for document, fields in pairs if fields.verified is False]
    if primary is None and further and not request.pati_id:  # any document that staff have seen proves a new file
        primary = next((one for one in further if one.number_blind not in unseen), further[0])
        further = [one for one in further if one is not primary]
    guardian = patient_guardians.parse(request.guardian) if request.guardian else None
    return PatientForm(request, primary, further, frozenset(unseen), guardian, idempotency_key)


def _require_details(request: SavePatientRequest, patient: Patient | None = None) -> None:
    """Raise ApiError(BAD_PARAMETER) without birthday or phone, unless the file has none, as a temporary one."""
    if request.pati_birthday is None and (patient is None or patient.birthday):
        raise ApiError(errors.BAD_PARAMETER, "pati_birthday：请填写出生日期")
    if not request.pati_phone and (patient is None or patient.phone_sealed):
        raise ApiError(errors.BAD_PARAMETER, "pati_phone：请填写手机号")


def parse_protocol_type(value: str, field: str) -> IdType:
    """Return the type that a pati_id_type names. Raises ApiError(BAD_PARAMETER) for an unknown one."""
    try:
        return documents.parse_protocol_type(value)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"{field}：{error}") from None


def _create_or_update(tx: Tx, caller: Caller, form: PatientForm) -> tuple[int, list[LabelRecord]]:
    tenant_id, request = caller.tenant_id, form.request
    if not (request.pati_id or any(map(form.is_seen, form.documents)) or form.idempotency_key):
        double_submission.lock_sender(tx, tenant_id, caller.principal)
        if earlier := _find_double_submission(tx, caller, form):
            return earlier
    if pati_id := request.pati_id or _find_verified(tx, tenant_id, form):
        _update(tx, caller, pati_id, form)
    else:
        pati_id = _create(tx, caller, form)
        file_access.log_access(tx, caller, pati_id, AccessAction.CREATED, request.reason or "")
    if form.guardian:
        patient_guardians.save(tx, caller, pati_id, form.guardian)
    if "pati_group_id" in request.model_fields_set:
        group_ids = [request.pati_group_id] if request.pati_group_id else []
        labels.set_patient_labels(tx, tenant_id, pati_id, LabelKind.GROUP, group_ids)
    if request.labels is not None:
        label_ids = [label.label_id for label in request.labels]
        labels.set_patient_labels(tx, tenant_id, pati_id, LabelKind.LABEL, label_ids)
    verification.enqueue_claims(tx, tenant_id, pati_id)  # the file may be new, or have another phone
    return pati_id, store.list_patient_labels(tx, pati_id)


def _find_verified(tx: Tx, tenant_id: int, form: PatientForm) -> int | None:
    """Return the verified file with the document of a form that staff have seen, None if there is none.

    Raises:
        ApiError: 409 if it has another name.
    """
    if form.primary is None or not form.is_seen(form.primary):
        return None
    name = form.request.pati_name
    pati_id = patient_documents.find_verified_by_identity(tx, tenant_id, form.primary.identity, name)
    if pati_id and not names.are_equal(patients.get(tx, tenant_id, pati_id).name, name):
        hint = COUNTRY_HINT if form.primary.id_type in documents.COUNTRY_TYPES else ""
        raise DocumentConflictError(f"该证件号码已用另一姓名建档{hint}", pati_id)
    return pati_id


def _create(tx: Tx, caller: Caller, form: PatientForm) -> int:
    tenant_id, user_id, details = caller.tenant_id, caller.user_id, _build_details(form.request)
    found = form.documents
    first = found[0] if found else None
    pati_id = patients.insert_declared(tx, tenant_id, details, first, user_id, idempotency_key=form.idempotency_key)
    for document in found:
        if document is not first or not form.is_seen(document):  # which a concurrent request may claim: `_save` repeats
            _require_unowned(tx, tenant_id, pati_id, document)
        patient_documents.add(tx, tenant_id, pati_id, document, user_id)
    if proved := [one.identity for one in found if form.is_seen(one)]:
        patients.mark_verified(tx, tenant_id, pati_id, VerificationMethod.FRONT_DESK, user_id, proved)
    if not _confirms_phones(caller):
        file_phones.mark_unconfirmed(tx, tenant_id, [pati_id])
    return pati_id


def _confirms_phones(caller: Caller) -> bool:
    """Return whether a caller decides whose files are, as the front desk does, by the phones that they enter."""
    return caller.role != Role.DOCTOR


def _update(tx: Tx, caller: Caller, pati_id: int, form: PatientForm) -> None:
    tenant_id, request = caller.tenant_id, form.request
    patient = patients.get(tx, tenant_id, pati_id, for_update=True)
    file_access.open_file(tx, caller, patient, AccessAction.CHANGED, request.reason)
    if patient.status == PatientStatus.MERGED:
        raise ApiError(errors.CONFLICT, f"该档案已合并到患者号 {patient.merged_into}")
    _require_details(request, patient)
    if patients.decrypt_phone(patient) != request.pati_phone:
        cause, reason = AuditAction.SAVE_PATIENT, request.reason or ""
        is_confirmed = _confirms_phones(caller)
        file_phones.change(tx, caller, patient, request.pati_phone, cause, reason, is_confirmed=is_confirmed)
    patients.update(tx, tenant_id, pati_id, _merge_details(patient, request))
    _update_documents(tx, caller, patient, form)
    for document in patient_documents.list_of_patient(tx, tenant_id, pati_id):
        _require_match(document, request)


def _merge_details(patient: Patient, request: SavePatientRequest) -> PatientDetails:
    """Return the details of the form; fields that the form leaves out come from the file.

    So does the name if the form spells it differently and found the file by its document.
    """
    given, filed = request.model_fields_set, patients.get_details(patient)
    unchanged = {field: getattr(filed, field) for name, field in OPTIONAL_DETAILS.items() if name not in given}
    if not request.pati_id:
        unchanged["name"] = filed.name
    return replace(_build_details(request), **unchanged)


def _require_match(document: StoredDocument, request: SavePatientRequest) -> None:
    if documents.is_citizen_number(document.id_type):
        number = patient_documents.decrypt_number(document)
        try:
            documents.require_match(document.id_type, number, request.pati_birthday, request.pati_gender)
        except ValueError as error:
            raise ApiError(errors.BAD_PARAMETER, f"pati_id_number：{error}") from None


def _update_documents(tx: Tx, caller: Caller, patient: Patient, form: PatientForm) -> None:
    tenant_id, pati_id = caller.tenant_id, patient.pati_id
    is_verified = patient.status == PatientStatus.VERIFIED
    before = patient_documents.list_of_patient(tx, tenant_id, pati_id)
    keeps_primary = "pati_id_number" not in form.request.model_fields_set
    added = form.documents
    for document in added:
        is_seen = form.is_seen(document)
        if not any(one.is_document(document) for one in before) or (is_verified and is_seen):
            _require_unowned(tx, tenant_id, pati_id, document)
            verification.add_document(tx, caller, patient, document, is_seen=is_seen)
    for stored in before:
        is_named = any(one.identity.may_be(stored.identity) for one in added if one.number_blind == stored.number_blind)
        if not is_named and _is_dropped(stored, form, keeps_primary):
            patient_documents.delete(tx, tenant_id, stored.document_id)
    _choose_primary(tx, tenant_id, pati_id, form.primary)
    if is_verified and before:
        _release_identities(tx, caller, pati_id, form.request.reason or "")


def _release_identities(tx: Tx, caller: Caller, pati_id: int, reason: str) -> None:
    """Remove the identities that no document of a verified file proves any more; without any, it is not verified."""
    owned = len(patient_documents.list_identities(tx, caller.tenant_id, pati_id))
    left = patient_documents.release_identities(tx, caller.tenant_id, pati_id)
    if not left:
        member_moves.remove_verification(tx, caller.tenant_id, pati_id)
    if left < owned or not left:
        audit_log.insert_entry(
            *(tx, caller.tenant_id, caller.principal, AuditAction.RELEASE_IDENTITIES, f"patient:{pati_id}"),
            reason=reason,
            key_id=caller.key_id or None,
            identities_before=owned,
            identities_after=left,
        )


def _is_dropped(stored: StoredDocument, form: PatientForm, keeps_primary: bool) -> bool:
    """Return whether a document that the form does not name is removed from the file.

    Another number in place of a citizen number, which is for life, corrects it, and so does another country of the same
    number; another number of a passport may be a renewal.
    """
    if not stored.is_primary:
        return form.further is not None
    if keeps_primary:
        return False
    primary = form.primary
    if primary is None or stored.number_blind == primary.number_blind:
        return True
    return stored.id_type == primary.id_type and documents.is_citizen_number(stored.id_type)


def _choose_primary(tx: Tx, tenant_id: int, pati_id: int, primary: Document | None) -> None:
    """Make the document of the form the primary one; without one, keep the present one or take the oldest."""
    found = patient_documents.list_of_patient(tx, tenant_id, pati_id)
    chosen = next((one for one in found if primary and one.is_document(primary)), None)
    if chosen is None and found:
        chosen = found[0]
    if chosen and not chosen.is_primary:
        patient_documents.make_primary(tx, tenant_id, pati_id, chosen.document_id)


def _require_unowned(tx: Tx, tenant_id: int, pati_id: int, document: Document) -> None:
    if patient_documents.owns(tx, tenant_id, pati_id, document.identity):  # perhaps another file too, without a country
        return
    owner = patient_documents.find_verified_by_identity(tx, tenant_id, document.identity)
    if owner is not None:
        raise DocumentConflictError("该证件号码已建档", owner)


def _find_double_submission(tx: Tx, caller: Caller, form: PatientForm) -> tuple[int, list[LabelRecord]] | None:
    """Return the file and the labels that the same form has just created, None if there is none."""
    request, numbers = form.request, {(one.number_blind, one.country) for one in form.documents}
    requested = {request.pati_group_id, *(label.label_id for label in request.labels or [])} - {None}
    details = _build_details(request)
    for pati_id in patients.list_double_submissions(tx, caller.tenant_id, details, caller.user_id):
        filed = {
            (one.number_blind, one.country) for one in patient_documents.list_of_patient(tx, caller.tenant_id, pati_id)
        }
        patient_labels = store.list_patient_labels(tx, pati_id)
        if filed == numbers and {label.label_id for label in patient_labels} == requested:
            return pati_id, patient_labels
    return None


def _get_earlier_result(tx: Tx, caller: Caller, form: PatientForm) -> tuple[int, list[LabelRecord]]:
    """Return the file that the first request with this key created.

    Raises:
        ApiError: 409 if that request had other content.
    """
    request, key = form.request, str(form.idempotency_key)
    patient = patients.get_by_idempotency_key(tx, caller.tenant_id, caller.user_id, key)
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.pati_phone)
    requested = (request.pati_name, request.pati_gender, request.pati_birthday, phone_blind)
    if (patient.name, patient.gender, patient.birthday, patient.phone_blind) != requested:
        raise ApiError(errors.CONFLICT, "相同的 Idempotency-Key，内容却不同")
    return patient.pati_id, store.list_patient_labels(tx, patient.pati_id)


def _build_details(request: SavePatientRequest) -> PatientDetails:
    return PatientDetails(
        name=request.pati_name,
        gender=request.pati_gender,
        birthday=request.pati_birthday,
        phone=request.pati_phone,
        **{field: getattr(request, name) for name, field in OPTIONAL_DETAILS.items()},
    )
