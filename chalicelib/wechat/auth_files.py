"""The files by which WeChat sees that a domain is the hospital's (网页授权文件)."""

import re

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.http.bodies import Raw, Upload
from chalicelib.identity.callers import Caller
from chalicelib.wechat import store
from chalicelib.wechat.models import FileNamed

# https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html
NAME = re.compile(r"MP_verify_[0-9A-Za-z]{16}\.txt", re.ASCII)
MOST = 1024  # bytes
TEXT = "text/plain; charset=utf-8"


def upload(caller: Caller, uploaded: Upload, named: FileNamed) -> None:
    """Keep a file, its bytes unchanged; one of the same name goes. Refused 400 for another name, 413 above 1 KB."""
    name, content = uploaded.name or named.file_name, uploaded.content
    if not NAME.fullmatch(name):
        raise Refused(
            errors.BAD_PARAMETER, "file_name：必须是微信给出的 MP_verify_….txt" if name else "file_name：必填"
        )
    if not content:
        raise Refused(errors.BAD_PARAMETER, "file：不能为空")
    if len(content) > MOST:
        raise Refused(errors.TOO_LARGE, f"file：不能超过 {MOST} 字节")
    mysql.autocommit(lambda tx: store.save_file(tx, caller.tenant_id, name, content, caller.user_id, clock.now()))


def download(caller: Caller) -> Raw:
    """Return what was uploaded last. Refused 404 where nothing was."""
    found = mysql.autocommit(lambda tx: store.newest_file(tx, caller.tenant_id))
    if found is None:
        raise Refused(errors.NOT_FOUND, "尚未上传网页授权文件")
    return Raw(TEXT, found["content"], found["file_name"])


def at_the_root(caller: Caller, name: str) -> Raw:
    """Return a file of the hospital whose domain was asked. Refused 404 for whatever else is asked for there."""
    content = NAME.fullmatch(name) and mysql.autocommit(lambda tx: store.file(tx, caller.tenant_id, name))
    if not content:
        raise Refused(errors.NOT_FOUND)
    return Raw(TEXT, content)
