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


# Whether the phone of a file p, if it is verified, proves that it is of the owner of account a. It proves nothing once
# an account has lost the number, because another person may get it (patients.phone_unconfirmed_since), until the front
# desk confirms it or another one (patient_identity/file_phones.py). A limited account must confirm first that its phone
# was not given to another person.
PROVES_OWNER_SQL = """
    (COALESCE(p.phone_blind = a.phone_blind, FALSE) AND p.phone_unconfirmed_since IS NULL
     AND a.identity_locked_at IS NULL)
"""
