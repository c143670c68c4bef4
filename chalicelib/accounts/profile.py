"""The profile of an account: name, gender, birthday and avatar."""

from chalicelib import clock, errors
from chalicelib.accounts.models import MyInfo, PictureForm, PictureFormRequest, SaveMyInfoRequest
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, links, store, upload_forms
from chalicelib.files.file_types import Purpose
from chalicelib.http.file_fields import FORM_USAGE
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import account_phones, accounts, bar_code, formatting, members
from chalicelib.people.accounts import AVATAR


def get_own(caller: Caller) -> MyInfo:
    """Return the profile. Where it is empty, the fields of the default member; the patient file is always the member's.

    An avatar that S3 has, but has not announced yet, is confirmed first. A limited session is shown the phone only.
    """
    if caller.role == Role.LIMITED:
        account = accounts.get(mysql.autocommit, caller.tenant_id, caller.user_id)
        phone = account_phones.unseal(caller.tenant_id, caller.user_id, account.phone_sealed)
        return MyInfo(phone=phone, avatar="", name="", gender=0, birthday=None, age="", pati_img="", pati_id="")
    _confirm_avatar(caller)
    account = accounts.get(mysql.autocommit, caller.tenant_id, caller.user_id)
    found = members.list_with_patients(mysql.autocommit, caller.tenant_id, caller.user_id)
    first = found[0] if found else None
    person = account if account.name or first is None else first
    birthday, pati_id = person.birthday, str((first and first.pati_id) or "")
    return MyInfo(
        phone=account_phones.unseal(caller.tenant_id, caller.user_id, account.phone_sealed),
        avatar=links.sign(account.photo_key) if account.photo_key else "",
        name=person.name,
        gender=person.gender,
        birthday=birthday,
        age=formatting.format_age(birthday.isoformat() if birthday else "", clock.today()),
        pati_img=bar_code.render_base64(pati_id) if pati_id else "",
        pati_id=pati_id,
    )


def save(caller: Caller, request: SaveMyInfoRequest) -> None:
    """Replace gender, name and birthday of the profile, the last two unless they are empty."""
    fields = (request.name, request.gender, request.birthday)
    accounts.update_profile(mysql.autocommit, caller.tenant_id, caller.user_id, *fields)


def create_picture_form(caller: Caller, request: PictureFormRequest) -> PictureForm:
    """Return an upload form for a picture that becomes the avatar once it is uploaded.

    Raises:
        ApiError: 400 if the type or the size of the picture is not allowed.
    """
    terms = file_types.build_upload_terms(Purpose.PHOTO, request.file_extension, request.file_type, request.file_size)
    ticket = upload_forms.issue(caller, AVATAR, terms)
    fields = ticket.form.fields
    return PictureForm(
        url=ticket.form.url,
        file_id=ticket.file_id,
        OSS_access_key_id=fields["x-amz-credential"].partition("/")[0],
        policy=fields["policy"],
        signature=fields["x-amz-signature"],
        key=fields["key"],
        fields=fields,
        usage=FORM_USAGE,
    )


def _confirm_avatar(caller: Caller) -> None:
    """Confirm an upload that S3 has not announced yet. A missing upload, or one that is no picture, changes nothing."""
    since, uploader = clock.now() - clock.DAY, (caller.tenant_id, caller.principal)
    file_id = store.find_unconfirmed(mysql.autocommit, *uploader, AVATAR, since)
    if file_id is None:
        return
    try:
        confirmation.confirm_own_upload(*uploader, file_id)
    except ApiError as error:
        if error.kind not in (errors.CONFLICT, errors.NOT_FOUND, errors.UNAVAILABLE):
            raise
