"""The status of patient files. Apart from patients.py: functions that may not decrypt compare it too."""

from enum import StrEnum


class PatientStatus(StrEnum):
    """patients.status."""

    DECLARED = "declared"  # entered by an account, or by staff without a document
    VERIFIED = "verified"  # the only file of its identities
    TEMPORARY = "temporary"  # of a person in an emergency who is not identified yet
    MERGED = "merged"  # replaced by another file
