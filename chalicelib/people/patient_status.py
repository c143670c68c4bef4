"""The status of patient files. Apart from patients.py: functions that may not decrypt compare it too."""

from enum import StrEnum


class PatientStatus(StrEnum):
    """patients.status."""

    DECLARED = "declared"  # entered by an account, or by staff without a document
    VERIFIED = "verified"  # the only file of its identities
    TEMPORARY = "temporary"  # of a person in an emergency who is not identified yet
    MERGED = "merged"  # replaced by another file


class VerificationMethod(StrEnum):
    """patients.verified_how and patient_merges.how: what proved that a file is a person's."""

    PHONE = "phone"  # the account's phone is the file's
    CODE = "code"  # a code sent to the file's phone
    CARD = "card"  # the number of a visit card
    FRONT_DESK = "front_desk"  # staff saw the document
    REGISTRATION = "registration"  # staff saw the document when they registered a booking
