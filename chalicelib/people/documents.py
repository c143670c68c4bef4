"""Identity documents: their types, the rules for their numbers, and which of them prove the same identity.

Types are those of CV02.01.101 (WS 364.3), and own codes for documents that it does not have. A number of eighteen
digits by GB 11643 (a citizen number) is a person's whichever document shows it; any other number is only with its type.
Passports of two countries may have one number: with their countries they prove two identities, and without, either one.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from chalicelib.crypto import field_encryption
from chalicelib.people import id_cards


class IdType(StrEnum):
    """patient_documents.id_type, and `idType` on the wire, where 99 stands for OTHER."""

    RESIDENT_CARD = "01"  # 居民身份证
    HOUSEHOLD_REGISTER = "02"  # 居民户口簿
    PASSPORT = "03"  # 护照
    OFFICER_CARD = "04"  # 军官证
    DRIVING_LICENCE = "05"  # 驾驶证
    HOME_RETURN_PERMIT = "06"  # 港澳居民来往内地通行证
    TAIWAN_PERMIT = "07"  # 台湾居民来往大陆通行证
    FOREIGNER_CARD_OLD = "F1"  # 外国人永久居留身份证，2017 年版
    FOREIGNER_CARD = "F2"  # 外国人永久居留身份证，2023 年版
    HONG_KONG_MACAU_RESIDENCE = "G1"  # 港澳居民居住证
    TAIWAN_RESIDENCE = "G2"  # 台湾居民居住证
    BIRTH_CERTIFICATE = "C1"  # 出生医学证明
    OTHER = "OT"  # 其他法定有效证件


WIRE_OTHER = "99"  # OTHER in `idType`; in document 003's pati_id_type it is the resident identity card instead

# What numbers of these types begin with; None: anything.
_CITIZEN_NUMBER_STARTS = {
    IdType.RESIDENT_CARD: None,
    IdType.HOUSEHOLD_REGISTER: None,
    IdType.FOREIGNER_CARD: ("9",),
    IdType.HONG_KONG_MACAU_RESIDENCE: ("81", "82"),
    IdType.TAIWAN_RESIDENCE: ("83",),
}
TYPE_NAMES = {
    IdType.RESIDENT_CARD: "身份证",
    IdType.HOUSEHOLD_REGISTER: "户口簿",
    IdType.PASSPORT: "护照",
    IdType.OFFICER_CARD: "军官证",
    IdType.DRIVING_LICENCE: "驾驶证",
    IdType.HOME_RETURN_PERMIT: "港澳居民来往内地通行证",
    IdType.TAIWAN_PERMIT: "台湾居民来往大陆通行证",
    IdType.FOREIGNER_CARD_OLD: "外国人永久居留身份证（旧版）",
    IdType.FOREIGNER_CARD: "外国人永久居留身份证",
    IdType.HONG_KONG_MACAU_RESIDENCE: "港澳居民居住证",
    IdType.TAIWAN_RESIDENCE: "台湾居民居住证",
    IdType.BIRTH_CERTIFICATE: "出生医学证明",
    IdType.OTHER: "其他证件",
}
# The pattern of a number, whose group 1 is what is stored, and a text that says what it looks like. The last two digits
# of travel permits count their renewals; older Taiwan permits add a letter in brackets.
_PATTERNS: dict[IdType, tuple[re.Pattern[str], str]] = {
    IdType.PASSPORT: (re.compile(r"([A-Z0-9]{5,20})"), "5 至 20 位字母和数字"),
    IdType.OFFICER_CARD: (re.compile(r"([A-Z0-9\u4e00-\u9fff]{4,20})"), "4 至 20 位汉字、字母和数字"),
    IdType.DRIVING_LICENCE: (re.compile(r"([A-Z0-9]{5,20})"), "5 至 20 位字母和数字"),
    IdType.HOME_RETURN_PERMIT: (
        re.compile(r"([HM][0-9]{8}|[HM]A[0-9]{7})(?:[0-9]{2})?"),
        "H 或 M 加 8 位数字，或 HA、MA 加 7 位数字",
    ),
    IdType.TAIWAN_PERMIT: (re.compile(r"([0-9]{8})(?:[0-9]{2}(?:\([A-Z]\)|[A-Z])?)?"), "8 位数字"),
    IdType.FOREIGNER_CARD_OLD: (re.compile(r"([A-Z]{3}[0-9]{12})"), "3 位字母加 12 位数字"),
    IdType.BIRTH_CERTIFICATE: (re.compile(r"([A-Z][0-9]{9})"), "1 位字母加 9 位数字"),
    IdType.OTHER: (re.compile(r"([A-Z0-9\u4e00-\u9fff()-]{3,32})"), "3 至 32 位汉字、字母和数字"),
}
COUNTRY_TYPES = (IdType.PASSPORT, IdType.DRIVING_LICENCE, IdType.OTHER)  # that any country issues
# ISO 3166-1 alpha-3, and what Doc 9303 of the ICAO adds for passports.
_COUNTRIES = """
    ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH BLM BLR
    BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR CYM CYP
    CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB
    GNB GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR JPN
    KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD
    MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN
    PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM
    SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR
    UMI URY USA UZB VAT VCT VEN VGB VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE
    EUE GBD RKS UNA UNK UNO XOM XPO XXA XXB XXC
"""
_COUNTRY_ALIASES = {"D": "DEU"}  # in German passports
_SEPARATORS = re.compile(r"[\s\u200b-\u200f\u2060\ufeff·.-]")
_HYPHENS = str.maketrans(dict.fromkeys("‐‑‒–—―−﹣－", "-"))


class Identity(NamedTuple):
    """What a document proves: a person, if its country is known or no other country issues such numbers."""

    blind: bytes  # blind index, without the country
    country: str  # "" if it is unknown, or the type has none

    def may_be(self, other: "Identity") -> bool:
        """Return whether both may be the same: they are, unless both name a country."""
        return self.blind == other.blind and (self.country == other.country or not (self.country and other.country))


@dataclass(frozen=True, slots=True)
class Document:
    """The number of an identity document, with blind indexes for equality searches; see build_document."""

    id_type: IdType
    number: str
    number_blind: bytes  # of type and number
    identity_blind: bytes  # of the identity that the document proves, without its country
    country: str = ""  # that issued it, "" if unknown

    @property
    def identity(self) -> Identity:
        """The identity that the document proves."""
        return Identity(self.identity_blind, self.country)


def normalize_number(id_type: IdType, number: str) -> str:
    """Return the number of a document as it is stored: in capital half-width characters, without renewal counts.

    Raises:
        ValueError: with a Chinese message if a document of this type cannot have the number.
    """
    text = unicodedata.normalize("NFKC", number).translate(_HYPHENS).upper()
    text = "".join(text.split()) if id_type == IdType.OTHER else _SEPARATORS.sub("", text)
    if id_type in _CITIZEN_NUMBER_STARTS:
        return _normalize_citizen_number(id_type, text)
    pattern, description = _PATTERNS[id_type]
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"{TYPE_NAMES[id_type]}号码应为{description}")
    return match[1]


def normalize_country(id_type: IdType, country: str) -> str:
    """Return the code of the country that issued a document, "" for none.

    Raises:
        ValueError: with a Chinese message for an unknown code, or if only China issues documents of this type.
    """
    code = unicodedata.normalize("NFKC", country).strip().strip("<").upper()
    if not code:
        return ""
    if id_type not in COUNTRY_TYPES:
        raise ValueError(f"只有{'、'.join(TYPE_NAMES[one] for one in COUNTRY_TYPES)}填写签发国")
    code = _COUNTRY_ALIASES.get(code, code)
    if code not in _COUNTRIES.split():
        raise ValueError("签发国应为 ISO 3166 三位字母代码，如 USA")
    return code


def is_citizen_number(id_type: IdType) -> bool:
    """Return whether numbers of this type are citizen numbers, which a person keeps for life."""
    return id_type in _CITIZEN_NUMBER_STARTS


def require_match(id_type: IdType, number: str, birthday: date | None, gender: int) -> None:
    """Check that a normalized number agrees with birthday and gender, if it encodes them.

    Raises:
        ValueError: with a Chinese message if it does not.
    """
    if is_citizen_number(id_type):
        id_cards.require_match(number, birthday, gender)


def identity_key(id_type: IdType, number: str) -> str:
    """Return the name of the identity that a document with this normalized number proves, without its country."""
    return f"citizen:{number}" if is_citizen_number(id_type) else f"{id_type}:{number}"


def build_document(tenant_id: int, id_type: IdType, number: str, country: str = "") -> Document:
    """Compute the blind indexes of a document to store or search. Not inside a transaction, unless keys are loaded.

    Args:
        number: the result of normalize_number.
        country: the result of normalize_country.
    """
    return Document(
        id_type,
        number,
        field_encryption.compute_blind_index(tenant_id, "document", f"{id_type}:{number}"),
        field_encryption.compute_blind_index(tenant_id, "identity", identity_key(id_type, number)),
        country,
    )


def list_possible_documents(tenant_id: int, number: str, id_type: IdType | None = None) -> list[Document]:
    """Return the documents that a number may be of, one for each type that accepts it; for searches."""
    found = []
    for candidate in [id_type] if id_type else list(IdType):
        try:
            found.append(build_document(tenant_id, candidate, normalize_number(candidate, number)))
        except ValueError:
            continue
    return found


def parse_wire_type(value: str) -> IdType:
    """Return the type that `idType` names; "" is the resident identity card. Raises ValueError for an unknown one."""
    return _parse(value, {"": IdType.RESIDENT_CARD, WIRE_OTHER: IdType.OTHER})


def format_wire_type(id_type: IdType) -> str:
    """Return `idType` for a type."""
    return WIRE_OTHER if id_type == IdType.OTHER else id_type.value


def parse_protocol_type(value: str) -> IdType:
    """Return the type that document 003's pati_id_type names. Raises ValueError for an unknown one."""
    return _parse(value, {"": IdType.RESIDENT_CARD, WIRE_OTHER: IdType.RESIDENT_CARD})


def format_protocol_type(id_type: IdType) -> str:
    """Return document 003's pati_id_type for a type."""
    return WIRE_OTHER if id_type == IdType.RESIDENT_CARD else id_type.value


def _parse(value: str, special: dict[str, IdType]) -> IdType:
    try:
        return special[value] if value in special else IdType(value)
    except ValueError:
        raise ValueError("证件类型不存在") from None


def _normalize_citizen_number(id_type: IdType, text: str) -> str:
    starts = _CITIZEN_NUMBER_STARTS[id_type]
    number = id_cards.normalize(text)
    if starts and not number.startswith(starts):
        raise ValueError(f"{TYPE_NAMES[id_type]}号码应以 {' 或 '.join(starts)} 开头")
    return number
