"""Logs: JSON lines with the ids of the request and without personal data."""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest

from chalicelib import logs
from chalicelib.adapters import mysql
from chalicelib.crypto import field_encryption
from chalicelib.settings import settings
from tests.support.client import get, post
from tests.support.factories import PASSWORD, Hospital
from tests.support.id_numbers import build_id_number
from tests.support.own_log_lines import is_own_line

logger = logging.getLogger("test")


@pytest.fixture
def output() -> Iterator[StringIO]:
    """The following log output as text."""
    handler = logging.StreamHandler(StringIO())
    handler.setFormatter(logs.JsonFormatter())
    handler.addFilter(is_own_line)
    logging.root.addHandler(handler)
    logs.start_context()
    yield handler.stream
    logging.root.removeHandler(handler)
    logs.start_context()


@pytest.fixture
def lines(output: StringIO) -> Any:
    """Return a function that returns the parsed log lines."""
    return lambda: [json.loads(line) for line in output.getvalue().strip().split("\n")]


def test_line_has_time_level_and_event(lines: Any) -> None:
    logger.warning("redis not %s", "reached")
    (line,) = lines()
    assert line.keys() == {"at", "level", "event"}
    assert (line["level"], line["event"]) == ("WARNING", "redis not reached")
    assert len(line["at"]) == len("2026-01-05T09:30:00.123+08:00")


def test_line_has_the_ids_of_the_request_and_its_own(lines: Any) -> None:
    logs.start_context(request_id="r1")
    logs.bind(tenant_id=7)
    logger.info("first", extra={"ids": {"status": 200}})
    logger.info("second")
    logs.start_context(request_id="r2")
    logger.info("third")
    first, second, third = lines()
    assert (first["request_id"], first["tenant_id"], first["status"]) == ("r1", 7, 200)
    assert second.keys() - first.keys() == set()
    assert "status" not in second
    assert third["request_id"] == "r2"
    assert "tenant_id" not in third


def test_concurrent_requests_have_separate_ids(lines: Any) -> None:
    def request(n: int) -> None:
        logs.start_context(request_id=n)
        for _ in range(20):
            logs.bind(own=n)
            logger.info("line")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(request, range(8)))
    logged = lines()
    assert len(logged) == 160
    assert all(line["request_id"] == line["own"] for line in logged)


def test_background_work_of_other_tests_adds_no_lines(lines: Any, caplog: pytest.LogCaptureFixture) -> None:
    logger.warning("own")
    thread = threading.Thread(target=logger.warning, args=("of an outbox worker",), daemon=True)
    thread.start()
    thread.join()
    assert [line["event"] for line in lines()] == caplog.messages == ["own"]


def test_exception_is_logged_with_its_stack_but_not_its_message(output: StringIO, lines: Any) -> None:
    try:
        try:
            raise KeyError("林小雨")
        except KeyError as error:
            raise ValueError("13800000001") from error
    except ValueError:
        logger.exception("unhandled")
    (line,) = lines()
    assert (line["event"], line["error"]) == ("unhandled", "builtins.ValueError")
    assert line["stack"][-1].startswith("test_logs.py:")
    assert line["stack"][-1].endswith("test_exception_is_logged_with_its_stack_but_not_its_message")
    for word in ("13800000001", "林小雨", "Traceback"):
        assert word not in output.getvalue()


@pytest.mark.store
def test_message_of_mysql_is_not_logged(hospital: Hospital, output: StringIO, lines: Any) -> None:
    insert = "INSERT INTO departments (tenant_id, name, created_at) VALUES "
    row = f"({hospital.tenant_id}, '陈医生 13900000001', 0)"
    try:
        mysql.autocommit.execute(f"{insert} {row}, {row}")
    except mysql.DuplicateKeyError:
        logger.exception("unhandled")
    assert lines()[0]["error"] == "mysql_statements.DuplicateKeyError"
    assert "13900000001" not in output.getvalue()
    assert "陈" not in output.getvalue()


def test_chinese_is_not_escaped(output: StringIO, lines: Any) -> None:
    logger.info("挂号", extra={"ids": {"科室": "内科"}})
    assert '"event": "挂号"' in output.getvalue()
    assert lines()[0]["科室"] == "内科"


def test_line_breaks_are_escaped(lines: Any) -> None:
    logger.info("a\nb\r\n\u2028", extra={"ids": {"odd": {1}, "half": "x\ny"}})
    (line,) = lines()
    assert (line["event"], line["odd"], line["half"]) == ("a\nb\r\n\u2028", "{1}", "x\ny")


def test_chat_is_logged_with_ids_and_without_content(hospital: Hospital, output: StringIO, lines: Any) -> None:
    lin, chen = hospital.lin, hospital.chen
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id, "message": "我发烧了"}
    post("/msg_service/msg/patient/send_text_msg", lin.token, **fields)
    get("/msg_service/msg/patient/msg_list", lin.token, session_no="我的会话", page_size=1)
    tenant = {"tenantId": str(hospital.tenant_id)}
    post("/pati_service/manager_service/login", headers=tenant, phone=chen.phone, password=PASSWORD)
    post("/inner/get_token", headers={"X-Internal-Key": hospital.internal_key}, session="visitor-abc")
    for secret in (
        "我发烧了",
        "我的会话",
        chen.phone,
        PASSWORD,
        lin.token,
        hospital.internal_key,
        "陈医生",
        "visitor-abc",
    ):
        assert secret not in output.getvalue()
    sent, listed, *_ = logged = lines()
    assert (sent["principal"], sent["status"], sent["tenant_id"]) == (lin.principal, 200, hospital.tenant_id)
    assert (listed["code"], listed["status"]) == (10001, 400)
    assert [line["event"] for line in logged] == ["request"] * 4


def test_patient_file_is_logged_without_personal_data(
    hospital: Hospital, output: StringIO, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, number = hospital.desk, build_id_number()
    form: dict[str, Any] = {
        "pati_name": "林小雨",
        "pati_gender": 2,
        "pati_birthday": "1990-05-17",
        "pati_phone": "13800000001",
    }
    root, fields = "/pati_service/manager_service", {**form, "pati_id_number": number, "pati_address": "建国路"}
    pati_id = post(f"{root}/patient", desk.token, **fields).data["pati_id"]
    get(f"{root}/pati_info", desk.token, pati_id=pati_id)
    get(f"{root}/patient_list", desk.token, pati_name="林小雨", pati_phone="13800000001", pati_id_number=number)
    post(f"{root}/patient", desk.token, **{**fields, "pati_name": "林大雨"})
    monkeypatch.setattr(field_encryption, "decrypt", lambda *_: 1 // 0)
    get(f"{root}/pati_info", desk.token, pati_id=pati_id)
    assert [line["status"] for line in lines() if line["event"] == "request"] == [200, 200, 200, 409, 500]
    for secret in ("林小雨", "林大雨", "13800000001", number, "建国路"):
        assert secret not in output.getvalue()


def test_configured_loggers_write_json_to_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    output = StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    before, level = logging.root.handlers[:], logging.root.level
    try:
        logs.configure()
        logging.getLogger("other.package").info("hello")
        logging.getLogger("botocore.hooks").info("noise")
    finally:
        logging.root.handlers[:] = before
        logging.root.setLevel(level)
    assert [json.loads(line)["event"] for line in output.getvalue().splitlines()] == ["hello"]
    assert settings.log_level == "INFO"
