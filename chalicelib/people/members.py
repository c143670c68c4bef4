"""Members of patients' accounts (就诊人): the persons for whom an account books, each bound to a patient file."""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.people import names, patient_documents, phones
from chalicelib.people.documents import Identity, IdType
from chalicelib.people.patient_status import PatientStatus

TABLE_NAME = "members"
MAX_MEMBERS = 10  # live ones of an account
MAX_CLAIMS = 100  # of one identity, that are verified when its file is saved
MAX_ADDED_PER_YEAR = 20  # by an account in a rolling year, removed ones included


class Relation(IntEnum):
    """members.cont_relation: what the member is to the account's owner."""

    SELF = 1
    SPOUSE = 2
    PARENT = 3
    CHILD = 4
    OTHER_RELATIVE = 5
    OTHER = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A live member of an account, with what members lists show of their patient file."""

    tenant_id: int
    member_id: int
    pati_id: int | None
    name: str
    gender: int
    birthday: date | None
    phone_sealed: bytes | None
    is_default: bool
    status: PatientStatus | None  # of the patient file
    has_guardian: bool
    document_id: int | None  # the primary document of the file
    id_type: IdType | None
    number_sealed: bytes | None
    country: str | None  # that issued the document, "" if unknown

    @property
    def is_verified(self) -> bool:
        """Whether the patient file is verified."""
        return self.status == PatientStatus.VERIFIED


@dataclass(frozen=True, slots=True)
class OwnMember:
    """A member of an account, perhaps a removed one."""

    member_id: int
    pati_id: int | None
    is_live: bool


def add(
    tx: Tx,
    tenant_id: int,
    user_id: int,
    name: str,
    *,
    gender: int = 0,
    birthday: date | None = None,
    phone: str = "",
    cont_relation: int = Relation.SELF,
    is_default: bool = False,
    pati_id: int | None = None,
) -> int:
    """Insert a member of an account and return the member_id. Load the encryption keys before, if there is a phone.

    Raises:
        mysql.DuplicateKeyError: key "patient_of_account" if the account has a live member with this patient file.
    """
    member_id = tx.insert(
        """
        INSERT INTO members
            (tenant_id, user_id, pati_id, name, name_key, gender, birthday, cont_relation, is_default, created_at)
        VALUES
            (%(tenant_id)s, %(user_id)s, %(pati_id)s, %(name)s, %(name_key)s, %(gender)s, %(birthday)s,
             %(cont_relation)s, %(is_default)s, %(now)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        pati_id=pati_id,
        name=name,
        name_key=names.build_key(name),
        gender=gender,
        birthday=birthday,
        cont_relation=cont_relation,
        is_default=is_default,
        now=clock.now(),
    )
    if phone:  # the ciphertext is bound to the row id, which is only known after the insert
        tx.execute(
            """
            UPDATE members SET phone_sealed = %(phone_sealed)s
            WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s
            """,
            phone_sealed=phones.seal(tenant_id, TABLE_NAME, member_id, phone),
            member_id=member_id,
            tenant_id=tenant_id,
        )
    return member_id


def list_with_patients(tx: Tx, tenant_id: int, user_id: int) -> list[Member]:
    """Return an account's live members, the default member first, then in the order of their creation."""
    rows = tx.fetch_all(
        """
        SELECT m.tenant_id, m.member_id, m.pati_id, m.name, m.gender, m.birthday, m.phone_sealed, m.is_default,
               p.status, g.pati_id IS NOT NULL AS has_guardian, d.document_id, d.id_type, d.number_sealed,
               d.country
        FROM members m
        LEFT JOIN patients p ON p.pati_id = m.pati_id AND p.tenant_id = m.tenant_id
        LEFT JOIN guardians g ON g.pati_id = m.pati_id AND g.tenant_id = m.tenant_id
        LEFT JOIN patient_documents d ON d.pati_id = m.pati_id AND d.tenant_id = m.tenant_id AND d.is_primary = 1
        WHERE m.user_id = %(user_id)s AND m.tenant_id = %(tenant_id)s AND m.live = 1
        ORDER BY m.is_default DESC, m.member_id
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return [_parse(row) for row in rows]


def find_by_identity(tx: Tx, tenant_id: int, user_id: int, identity: Identity) -> int | None:
    """Return the member_id of the account's live member whose file has a document of this identity, or None."""
    member_id: int | None = tx.fetch_value(
        """
        SELECT m.member_id FROM members m JOIN patient_documents d ON d.pati_id = m.pati_id
        WHERE m.user_id = %(user_id)s AND m.tenant_id = %(tenant_id)s AND m.live = 1
          AND d.tenant_id = m.tenant_id AND d.identity_blind = %(blind)s
          AND (d.country = %(country)s OR '' IN (d.country, %(country)s))
        ORDER BY d.country = %(country)s DESC, m.member_id LIMIT 1
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        **identity._asdict(),
    )
    return member_id


def find_own(tx: Tx, tenant_id: int, user_id: int, member_id: int) -> OwnMember | None:
    """Return a member of an account, a removed one too, or None."""
    row = tx.fetch_one(
        """
        SELECT member_id, pati_id, live IS NOT NULL AS is_live FROM members
        WHERE member_id = %(member_id)s AND user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        member_id=member_id,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return OwnMember(row["member_id"], row["pati_id"], bool(row["is_live"])) if row else None


def remove(tx: Tx, tenant_id: int, member_id: int, removed_by: int | None, now: int | None = None) -> None:
    """Remove a live member: it books and consults no more. The account's next member becomes the default one.

    The member's consultations are archived, so nobody writes to them any more. Call it after locking the account.

    Args:
        removed_by: user_id of the account, the file's owner or a member of staff; None for a job.
        now: when the account is closed, if that is the cause.
    """
    now = now or clock.now()
    removed = tx.execute(
        """
        UPDATE members SET live = NULL, is_default = 0, removed_at = %(now)s, removed_by = %(removed_by)s
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s AND live = 1
        """,
        member_id=member_id,
        tenant_id=tenant_id,
        removed_by=removed_by,
        now=now,
    )
    if not removed:
        return
    tx.execute(
        """
        UPDATE conversations c JOIN consult_sessions s ON s.conversation_id = c.conversation_id
        JOIN participants p ON p.conversation_id = c.conversation_id
        SET c.archived_at = COALESCE(c.archived_at, %(now)s), p.archived = 1
        WHERE s.member_id = %(member_id)s AND s.tenant_id = %(tenant_id)s
        """,
        member_id=member_id,
        tenant_id=tenant_id,
        now=now,
    )
    _choose_default(tx, tenant_id, member_id)


def _choose_default(tx: Tx, tenant_id: int, removed_id: int) -> None:
    """Make the oldest live member of a removed member's account the default one, unless the account has one."""
    found = tx.fetch_all(
        """
        SELECT m.member_id, m.is_default FROM members m JOIN members r ON r.user_id = m.user_id
        WHERE r.member_id = %(removed_id)s AND r.tenant_id = %(tenant_id)s AND m.tenant_id = r.tenant_id AND m.live = 1
        ORDER BY m.is_default DESC, m.member_id LIMIT 1
        """,
        removed_id=removed_id,
        tenant_id=tenant_id,
    )
    if found and not found[0]["is_default"]:
        tx.execute(
            "UPDATE members SET is_default = 1 WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s",
            member_id=found[0]["member_id"],
            tenant_id=tenant_id,
        )


def list_claims(tx: Tx, tenant_id: int, pati_id: int) -> list[int]:
    """Return the live members whose self-declared files claim an identity of a verified file."""
    rows = tx.fetch_all(
        f"""
        SELECT DISTINCT m.member_id
        FROM patient_identities i
        JOIN patient_documents d ON {patient_documents.build_same_identity_sql("i", "d")}
        JOIN patients p ON p.pati_id = d.pati_id AND p.status = %(declared)s
        JOIN members m ON m.pati_id = p.pati_id AND m.live = 1
        WHERE i.pati_id = %(pati_id)s AND i.tenant_id = %(tenant_id)s ORDER BY m.member_id LIMIT %(limit)s
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
        declared=PatientStatus.DECLARED,
        limit=MAX_CLAIMS,
    )
    return [row["member_id"] for row in rows]


def count_added_since(tx: Tx, tenant_id: int, user_id: int, since: int) -> int:
    """Return how many members an account has added after a time, removed ones included."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*) FROM members
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s AND created_at > %(since)s
            """,
            user_id=user_id,
            tenant_id=tenant_id,
            since=since,
        )
    )


def decrypt_phone(member: Member) -> str:
    """Return the phone of a member, "" if there is none."""
    return phones.unseal(member.tenant_id, TABLE_NAME, member.member_id, member.phone_sealed)


def decrypt_document_number(member: Member) -> str:
    """Return the number of the primary document of a member's file, "" if there is none."""
    if member.document_id is None or member.number_sealed is None:
        return ""
    table = patient_documents.TABLE_NAME
    return field_encryption.decrypt(member.tenant_id, table, member.document_id, member.number_sealed)


def _parse(row: Row) -> Member:
    return Member(
        **{
            **row,
            "is_default": bool(row["is_default"]),
            "has_guardian": bool(row["has_guardian"]),
            "status": PatientStatus(row["status"]) if row["status"] else None,
            "id_type": IdType(row["id_type"]) if row["id_type"] else None,
        }
    )
