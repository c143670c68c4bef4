"""Consents of accounts to a hospital's privacy notice, and where one is required.

A hospital that has published a notice requires its accounts' consents before they add members, book or start
consultations: to the notice, to the processing of health data, and for children to that of minors' data. A consent
counts from the last version whose changes require a new one. A hospital without a notice requires nothing.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from chalicelib import clock, errors
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import ApiError

# Source: Personal Information Protection Law (个人信息保护法), articles 28 and 31.
MINOR_AGE = 14


class ConsentPurpose(StrEnum):
    """consents.purpose: what an account consents to."""

    NOTICE = "notice"
    HEALTH_DATA = "health_data"
    MINORS = "minors"


PURPOSE_TEXTS = {
    ConsentPurpose.NOTICE: "隐私政策",
    ConsentPurpose.HEALTH_DATA: "处理健康信息",
    ConsentPurpose.MINORS: "处理未满十四周岁未成年人的信息",
}

_REQUIRED_VERSION_SQL = """
    SELECT MAX(n.version) FROM privacy_notices n WHERE n.tenant_id = %(tenant_id)s AND n.requires_consent = TRUE
"""
# Columns for `parse_status`, of a query that has the parameters tenant_id and user_id.
CONSENT_COLUMNS = f"""
    COALESCE(({_REQUIRED_VERSION_SQL}), 0) AS required_version,
    COALESCE((SELECT GROUP_CONCAT(DISTINCT c.purpose) FROM consents c
              WHERE c.tenant_id = %(tenant_id)s AND c.user_id = %(user_id)s AND c.withdrawn_at IS NULL
                AND c.version >= ({_REQUIRED_VERSION_SQL})), '') AS consented_purposes
"""


@dataclass(frozen=True, slots=True)
class ConsentStatus:
    """The consents of an account that count."""

    required_version: int  # of the notice, 0 if the hospital requires no consent
    purposes: frozenset[str]

    def list_missing(self, birthday: date | None) -> list[ConsentPurpose]:
        """Return the purposes without a consent that is required for a person with this birthday."""
        if not self.required_version:
            return []
        required = [ConsentPurpose.NOTICE, ConsentPurpose.HEALTH_DATA]
        required += [ConsentPurpose.MINORS] if is_minor(birthday) else []
        return [purpose for purpose in required if purpose not in self.purposes]

    def require(self, birthday: date | None) -> None:
        """Raise ApiError(CONSENT_REQUIRED) unless all consents for a person with this birthday have been given."""
        missing = self.list_missing(birthday)
        if missing:
            texts = "、".join(PURPOSE_TEXTS[purpose] for purpose in missing)
            raise ApiError(errors.CONSENT_REQUIRED, f"请先阅读隐私政策并同意：{texts}")


def find_status(tx: Tx, tenant_id: int, user_id: int) -> ConsentStatus:
    """Return the consents of an account that count."""
    row = tx.fetch_one(f"SELECT {CONSENT_COLUMNS}", tenant_id=tenant_id, user_id=user_id)
    assert row is not None, "a query without FROM returns one row"
    return parse_status(row)


def parse_status(row: Row) -> ConsentStatus:
    """Return the consents from CONSENT_COLUMNS of a row."""
    purposes = row["consented_purposes"]
    return ConsentStatus(row["required_version"], frozenset(purposes.split(",") if purposes else ()))


def is_minor(birthday: date | None) -> bool:
    """Return whether a person with this birthday is under MINOR_AGE; False for an unknown one."""
    if birthday is None:
        return False
    today = clock.today()
    had_birthday = (today.month, today.day) >= (birthday.month, birthday.day)
    return today.year - birthday.year - (not had_birthday) < MINOR_AGE
