"""The files by which WeChat verifies that a domain belongs to the hospital (网页授权文件)."""

import re

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.http.bodies import RawContent, RequestFile
from chalicelib.identity.callers import Caller
from chalicelib.wechat import store
from chalicelib.wechat.models import FileNameQuery

# Source: https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html
FILE_NAME_PATTERN = re.compile(r"MP_verify_[0-9A-Za-z]{16}\.txt", re.ASCII)
CONTENT_PATTERN = re.compile(rb"\s*([0-9A-Za-z]{16})\s*")  # of a file as WeChat issues it: the end of its name
NAME_REQUIRED_TEXT = "file_name：必填。请用 multipart 表单上传微信给出的文件，或在地址后加 ?file_name=MP_verify_….txt"
MAX_BYTES = 1024
CONTENT_TYPE = "text/plain; charset=utf-8"


def upload(caller: Caller, file: RequestFile, query: FileNameQuery) -> None:
    """Store a file unchanged, replacing one of the same name. A file without a name has the one that it contains.

    Raises:
        ApiError: 400 for any other name or an empty file, 413 above MAX_BYTES.
    """
    content = file.content
    if not content:
        raise ApiError(errors.BAD_PARAMETER, "file：不能为空")
    name = file.name or query.file_name or _derive_name(content)
    if not FILE_NAME_PATTERN.fullmatch(name):
        text = "file_name：必须是微信给出的 MP_verify_….txt" if name else NAME_REQUIRED_TEXT
        raise ApiError(errors.BAD_PARAMETER, text)
    if len(content) > MAX_BYTES:
        raise ApiError(errors.TOO_LARGE, f"file：不能超过 {MAX_BYTES} 字节")
    store.save_file(mysql.autocommit, caller.tenant_id, name, content, caller.user_id, clock.now())


def _derive_name(content: bytes) -> str:
    found = CONTENT_PATTERN.fullmatch(content)
    return f"MP_verify_{found[1].decode()}.txt" if found else ""


def download(caller: Caller) -> RawContent:
    """Return the file that was uploaded last.

    Raises:
        ApiError: 404 if there is none.
    """
    file = store.find_newest_file(mysql.autocommit, caller.tenant_id)
    if file is None:
        raise ApiError(errors.NOT_FOUND, "尚未上传网页授权文件")
    return RawContent(CONTENT_TYPE, file.content, file.file_name)


def get_root_file(caller: Caller, name: str) -> RawContent:
    """Return a file of the hospital to whose domain the request was sent.

    Raises:
        ApiError: 404 for any other path at the root of a domain.
    """
    content = FILE_NAME_PATTERN.fullmatch(name) and store.find_file(mysql.autocommit, caller.tenant_id, name)
    if not content:
        raise ApiError(errors.NOT_FOUND)
    return RawContent(CONTENT_TYPE, content)
