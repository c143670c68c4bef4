"""Fuzz the API over HTTP: bin/fuzz [--examples N] [--seed S] [--only PART_OF_A_PATH]

Each operation of the OpenAPI document gets its own example, the boundary values of its schemas, random valid and
invalid requests, bodies that are not JSON, and unauthorized callers. Every response must be in its envelope, with a
documented status, headers and schema, and none may be a 500.
"""

import argparse
import json
import logging
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import requests
from hypothesis import strategies as st
from schemathesis import GenerationMode

from apidocs import conformance, endpoints
from apidocs.conformance import Case, Operation
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.identity import callers, internal_keys, tokens
from chalicelib.identity.callers import Role
from devstack.apigateway.server import create_server
from devstack.fakes import wechat
from devstack.fuzz import account_data, booking_data, helpdesk_data, inbox_data
from tests.support import factories, queue_client

Headers = dict[str, str]

ALLOWED_CALLERS = {
    (one.endpoint.method, one.endpoint.path): sorted(one.endpoint.callers - {Role.LIMITED})
    for one in endpoints.iter_endpoints()
}
NON_OBJECT_BODIES = [
    *(b"{", b"[]", b"12", b'"text"', b"\xff\xfe{}", b"\x00", b"{}{}", b"a=1&b=2", b'{"a":"\\ud800"}'),
    *(b'{"a":' * 5000, b"[" * 100_000),
]
OVERSIZED_BODY = b'{"a":"' + b"a" * 2 * 1024 * 1024 + b'"}'
ODD_NUMBER_BODIES = [b'{"a":1e400}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":NaN}']
INVALID_TOKENS = ["", "unknown", "0" * 43, "é" * 40]
TOO_LONG_TOKEN = "a" * 5000
INVALID_TENANT_IDS = ["-1", "abc", "9" * 30, "1 OR 1=1", "²"]
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@contextmanager
def run_app() -> Iterator[str]:
    """Serve the app on a free port, with a fake WeChat that accepts any account; yield its URL."""
    server = create_server("127.0.0.1", 0).server
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        with wechat.replace_real_server() as fake_wechat:
            fake_wechat.accepts_any_account = True
            yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class FuzzClient:
    """A client of the served app with a hospital and one caller of each role; it checks every response."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy leads to this machine: looking for one takes a tenth of a request
        self.statuses: Counter[tuple[str, int]] = Counter()
        # Boundary values and examples (1, 2, 3) may disable users, revoke keys and screens, remove members, merge files
        # and stop schedules: not those used here.
        for table in ("people", "internal_keys", "members", "patients", "schedules", "screens"):
            mysql.autocommit.execute(f"ALTER TABLE {table} AUTO_INCREMENT = 1000000")
        hospital = factories.create_hospital("模糊测试医院")
        # The doctor is also a patient, so that the phone can sign in as both.
        factories.create_patient(hospital.tenant_id, hospital.chen.phone, "陈医生")
        staff = {Role.DOCTOR: hospital.chen, Role.SERVICE_STAFF: hospital.desk, Role.ADMIN: hospital.admin}
        self._people = {Role.PATIENT: hospital.lin, **staff}
        self._headers: dict[str, Headers] = {
            Role.SESSION: {"token": tokens.issue(hospital.tenant_id, "session:fuzz", Role.SESSION)},
            Role.SERVICE: {"X-Internal-Key": hospital.internal_key},
            Role.SCREEN: {"token": queue_client.create_screen(hospital)[1]},
            Role.PUBLIC: {"tenantId": str(hospital.tenant_id)},
        }
        self.known_values: dict[str, Any] = {"phone": hospital.chen.phone, "password": factories.PASSWORD}
        self.known_values |= {
            "user_id": str(hospital.zhou.user_id),
            "pati_id": str(factories.create_patient_file(hospital.lin)),
        }
        second_key = internal_keys.authenticate(internal_keys.issue(hospital.tenant_id))
        self.known_values |= {"key_id": str(second_key.key_id), "tenantId": str(hospital.tenant_id)}
        self.known_values["label_id"] = str(factories.create_group(hospital.desk, "慢病"))
        self._start_session(member_id=str(hospital.lin.member_id), doctor_id=str(hospital.chen.user_id))
        self._upload_file()
        self.known_values |= booking_data.create_schedules(self, hospital)
        self.known_values_by_path = {
            **inbox_data.send_messages(self, hospital),
            **helpdesk_data.create_chats(self, hospital),
            **account_data.build_values(hospital),
            **booking_data.stop_schedules(self, hospital, self.known_values["dept_id"]),
        }
        self.known_values["conversation_ids"] = [
            self._post_as_patient("/create_conversation", conversation_type=0)["ConversationId"]
        ]

    def get_headers(self, role: str) -> Headers:
        """Return the headers of a caller with this role. A person gets a new token: a request may have ended others."""
        if person := self._people.get(Role(role)):
            if person.role == Role.PATIENT:
                account_data.reopen(person)
                account_data.give_consents(person)
            return {"token": tokens.issue(person.tenant_id, person.principal, person.role)}
        return self._headers[role]

    def insert_known_ids(self, values: dict[str, Any], path: str) -> dict[str, Any]:
        """Return the same fields with existing ids."""
        known = {**self.known_values, **self.known_values_by_path.get(path, {})}
        return {**values, **{name: known[name] for name in values if name in known}}

    def send(self, case: Case, headers: Headers) -> int:
        """Send a request, check its response and return the status.

        Raises:
            AssertionError: the response is not as documented.
        """
        response = case.call(base_url=self.url, session=self.session, headers=headers)
        conformance.check_response(case, response, headers)
        self.statuses[case.operation.label, response.status_code] += 1
        return response.status_code

    def post(self, path: str, body: bytes, headers: Headers) -> requests.Response:
        """Send a POST request with a JSON body and check the envelope of its response."""
        response = self.session.post(self.url + path, body, headers={"Content-Type": "application/json", **headers})
        conformance.check_envelope(path, response.status_code, response.headers, response.content)
        return response

    def _post_as_patient(self, path: str, **body: Any) -> Any:
        return self.post(path, json.dumps(body).encode(), self.get_headers(Role.PATIENT)).json()["data"]

    def _start_session(self, **pair: str) -> None:
        sent = self._post_as_patient("/msg_service/msg/patient/send_text_msg", **pair, message="您好")
        names = ("session_no", "session_id", "conversation_id", "msg_session")
        messages = ("msg_id", "start_msg_id", "end_msg_id")
        self.known_values.update(
            dict.fromkeys(names, sent["session_no"]), **dict.fromkeys(messages, sent["msg_id"]), **pair
        )

    def _upload_file(self) -> None:
        request = {"file_extension": "png", "file_type": "image/png", "msg_session": self.known_values["session_no"]}
        form = self._post_as_patient("/msg_service/msg/file/pre_upload", **request)
        requests.post(form["url"], form["fields"], files={"file": PNG_SIGNATURE}).raise_for_status()
        self.known_values["file_id"] = str(form["fileId"])


def fuzz_operation(client: FuzzClient, operation: Operation, examples: int, number: int) -> None:
    """Run all checks of an operation.

    Args:
        examples: how many random requests to send.
        number: the seed of the random requests.

    Raises:
        AssertionError, BaseExceptionGroup: a response is not as documented.
    """
    allowed = ALLOWED_CALLERS[operation.method.upper(), operation.path]
    check_example(client, operation, allowed)
    check_boundaries(client, operation, allowed)
    check_random_requests(client, operation, allowed, examples, number)
    if operation.body:
        check_malformed_bodies(client, operation, allowed[0])
    if Role.PUBLIC in allowed:
        check_unknown_tenants(client, operation)
    else:
        check_unauthorized_callers(client, operation, allowed)


def check_example(client: FuzzClient, operation: Operation, allowed: list[Role]) -> None:
    """Check that the document's example with existing ids succeeds, so that not only rejections are tested."""
    if operation.path not in conformance.EXAMPLE_PRECONDITIONS:
        case = conformance.build_example(operation, client.insert_known_ids)
        statuses = [client.send(case, client.get_headers(role)) for role in allowed]
        assert 200 in statuses, f"the example of {operation.label} has the statuses {statuses}"


def check_boundaries(client: FuzzClient, operation: Operation, allowed: list[Role]) -> None:
    """Send each boundary case that schemathesis lists: shortest, longest, missing, additional, another type."""
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    generation = operation.schema.config.generation
    cases = operation.schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=generation)
    for number, case in enumerate(cases):
        client.send(case, client.get_headers(allowed[number % len(allowed)]))


def check_random_requests(
    client: FuzzClient, operation: Operation, allowed: list[Role], examples: int, number: int
) -> None:
    """Send random requests, valid and invalid, some of the valid ones with existing ids."""
    valid = operation.as_strategy(GenerationMode.POSITIVE)
    can_be_invalid = operation.body or list(operation.iter_parameters())
    invalid = operation.as_strategy(GenerationMode.NEGATIVE) if can_be_invalid else valid

    @hypothesis.seed(number)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(st.one_of(valid, invalid), st.sampled_from(allowed), st.booleans())
    def send_one(case: Case, role: str, use_known_ids: bool) -> None:
        if isinstance(case.body, dict):
            case.body = conformance.convert_whole_floats(case.body)
        if use_known_ids and case.meta and case.meta.generation.mode.is_positive:
            case.body = client.insert_known_ids(case.body, operation.path) if isinstance(case.body, dict) else case.body
            case.query = client.insert_known_ids(case.query, operation.path)
            case.path_parameters = client.insert_known_ids(case.path_parameters or {}, operation.path)
        client.send(case, client.get_headers(role))

    send_one()


def check_malformed_bodies(client: FuzzClient, operation: Operation, role: str) -> None:
    """Check that bodies that are not JSON objects are rejected, and that numbers out of range cause no 500."""
    path = conformance.build_example(operation, client.insert_known_ids).formatted_path
    statuses = {body: client.post(path, body, client.get_headers(role)).status_code for body in NON_OBJECT_BODIES}
    expected = conformance.MALFORMED_BODY_STATUSES.get(operation.path, {400})
    assert {body[:80]: status for body, status in statuses.items() if status not in expected} == {}
    assert client.post(path, OVERSIZED_BODY, client.get_headers(role)).status_code == 413
    for body in ODD_NUMBER_BODIES:
        client.post(path, body, client.get_headers(role))


def check_unauthorized_callers(client: FuzzClient, operation: Operation, allowed: list[Role]) -> None:
    """Check that callers without a token, with an invalid one, or with another role are rejected."""
    case = conformance.build_example(operation, client.insert_known_ids)
    for role in sorted(set(callers.Role) - set(allowed) - {Role.LIMITED}):
        status = client.send(case, client.get_headers(role))
        assert status == (401 if role in (Role.PUBLIC, Role.SERVICE) else 403), f"{role} gets status {status}"
    for token in INVALID_TOKENS:
        status = client.send(case, {"token": token.encode().decode("latin-1")})
        assert status == 401, f"token {token!r} gets status {status}"
    assert client.send(case, {"token": TOO_LONG_TOKEN}) == 400


def check_unknown_tenants(client: FuzzClient, operation: Operation) -> None:
    """Check that tenant ids that do not exist are rejected."""
    case = conformance.build_example(operation, client.insert_known_ids)
    for tenant in INVALID_TENANT_IDS:
        status = client.send(case, {"tenantId": tenant.encode().decode("latin-1")})
        assert status == conformance.UNKNOWN_TENANT_STATUS.get(operation.path, 400), (
            f"tenant {tenant!r} gets status {status}"
        )


def main(arguments: list[str]) -> int:
    """Run the command; return 1 if an operation fails."""
    parser = argparse.ArgumentParser(prog="bin/fuzz")
    parser.add_argument("--examples", type=int, default=500, help="random requests for each operation")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="operations whose path contains this")
    options = parser.parse_args(arguments)
    logging.root.setLevel(logging.ERROR)
    migrations.migrate()
    sys.stdout.write(f"seed {options.seed}\n")
    with run_app() as url:
        client = FuzzClient(url)
        operations = [operation for operation in conformance.list_operations() if options.only in operation.path]
        passed = [run_operation(client, operation, options.examples, options.seed) for operation in operations]
    return 0 if all(passed) else 1


def run_operation(client: FuzzClient, operation: Operation, examples: int, number: int) -> bool:
    """Run all checks of an operation and print the result; return whether they pass."""
    try:
        fuzz_operation(client, operation, examples, number)
    except (AssertionError, BaseExceptionGroup) as error:
        sys.stdout.write(f"FAILED {operation.label}\n{error}\n")
        return False
    counts = sorted((status, count) for (label, status), count in client.statuses.items() if label == operation.label)
    sys.stdout.write(f"{operation.label}: " + ", ".join(f"{count}x{status}" for status, count in counts) + "\n")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
