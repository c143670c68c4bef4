"""The guardian of a child as staff save it.

Pages send what pati_info has shown: the document under the names of the response, or none, as doctors do not see it,
and no consent. Such a guardian has not changed, and their consent stays as it was given.
"""

from dataclasses import dataclass

from chalicelib import errors
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.http import identity_fields
from chalicelib.identity.callers import Caller
from chalicelib.people import documents, guardians
from chalicelib.people.documents import IdType
from chalicelib.people.guardians import Guardian
from chalicelib.staff.patient_models import PatientGuardianFields


@dataclass(frozen=True, slots=True)
class GuardianForm:
    """The guardian of a form, validated."""

    fields: PatientGuardianFields
    document: tuple[IdType, str] | None  # type and normalized number; None: that of the file stays


def parse(fields: PatientGuardianFields) -> GuardianForm:
    """Validate the document of a guardian. Raises ApiError(BAD_PARAMETER) for an invalid one, or that of a child."""
    if number := fields.id_number.strip():
        try:
            id_type = documents.parse_protocol_type(fields.id_type)
        except ValueError as error:
            raise ApiError(errors.BAD_PARAMETER, f"guardian.id_type：{error}") from None
        return GuardianForm(fields, identity_fields.parse_guardian_document(id_type, number, "guardian.id_number"))
    if number := fields.IDNo.strip():
        id_type = identity_fields.parse_type(fields.idType, "guardian.idType")
        return GuardianForm(fields, identity_fields.parse_guardian_document(id_type, number, "guardian.IDNo"))
    return GuardianForm(fields, None)


def save(tx: Tx, caller: Caller, pati_id: int, form: GuardianForm) -> None:
    """Set the guardian of a locked file, unless it has this guardian already.

    Raises:
        ApiError: 400 for another guardian without a document or consent.
    """
    fields, stored = form.fields, guardians.find(tx, caller.tenant_id, pati_id)
    document = form.document
    if document is None:
        if stored is None or stored.name != fields.name:
            raise ApiError(errors.BAD_PARAMETER, "guardian.IDNo：请填写监护人的证件号码")
        document = stored.id_type, stored.number
    id_type, number = document
    guardian = Guardian(
        name=fields.name, id_type=id_type, number=number, phone=fields.phone, cont_relation=fields.relation
    )
    if guardian == stored:
        return
    if not fields.consent:
        raise ApiError(errors.BAD_PARAMETER, "guardian.consent：更换或修改监护人须经监护人同意")
    guardians.save(tx, caller.tenant_id, pati_id, guardian, caller.user_id)
