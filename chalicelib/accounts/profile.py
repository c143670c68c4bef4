"""What an account says of its owner."""

from chalicelib import clock, errors
from chalicelib.accounts.models import MyInfo, MyInfoSaved, PictureForm, PictureWanted
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, links, store, upload_forms
from chalicelib.identity.callers import Caller
from chalicelib.people import accounts, bar_code, formatting
from chalicelib.people.accounts import AVATAR


def get_own(caller: Caller) -> MyInfo:
    """Return what the owner has said of themselves, else what their default member is; the file is the member's."""
    _confirm_avatar(caller)
    account = accounts.get(mysql.autocommit, caller.tenant_id, caller.user_id)
    members = accounts.list_members_with_patients(mysql.autocommit, caller.tenant_id, caller.user_id)
    first = members[0] if members else None
    person = account if account.name or first is None else first
    birthday, pati_id = person.birthday, str((first and first.pati_id) or "")
    return MyInfo(
        phone=account.phone,
        avatar=links.sign(account.photo_key) if account.photo_key else "",
        name=person.name,
        gender=person.gender,
        birthday=birthday,
        age=formatting.format_age(birthday.isoformat() if birthday else "", clock.today()),
        pati_img=bar_code.render_base64(pati_id) if pati_id else "",
        pati_id=pati_id,
    )


def save(caller: Caller, given: MyInfoSaved) -> None:
    said = (given.name, given.gender, given.birthday)
    accounts.update_profile(mysql.autocommit, caller.tenant_id, caller.user_id, *said)


def create_picture_form(caller: Caller, wanted: PictureWanted) -> PictureForm:
    """Return a form for one picture, which becomes the avatar once it is uploaded."""
    kind = file_types.require_picture_kind(wanted.file_extension, wanted.file_type, wanted.file_size)
    ticket = upload_forms.issue(caller.tenant_id, caller.principal, AVATAR, kind, wanted.file_type, wanted.file_size)
    fields = ticket.form.fields
    return PictureForm(
        url=ticket.form.url,
        file_id=ticket.file_id,
        OSS_access_key_id=fields["x-amz-credential"].partition("/")[0],
        policy=fields["policy"],
        signature=fields["x-amz-signature"],
        key=fields["key"],
        fields=fields,
    )


def _confirm_avatar(caller: Caller) -> None:
    """S3 may not have told of an upload yet. One that is not there, or no picture, leaves the avatar as it is."""
    since, uploader = clock.now() - clock.DAY, (caller.tenant_id, caller.principal)
    file_id = store.find_unconfirmed(mysql.autocommit, *uploader, AVATAR, since)
    if file_id is None:
        return
    try:
        confirmation.confirm_own_upload(*uploader, file_id)
    except ApiError as refused:
        if refused.kind not in (errors.CONFLICT, errors.NOT_FOUND, errors.UNAVAILABLE):
            raise
