"""Requests that nobody would think of, over HTTP: bin/fuzz [--examples N] [--seed S] [--only PART_OF_A_PATH]

Each operation of the OpenAPI document gets its own example, the boundaries of its schemas, random requests right and
wrong, bodies that are no JSON, and callers who may not call. Every answer must be in its envelope, with a documented
status, headers and schema, and none may be a 500.
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
from chalicelib.identity import callers, tokens
from chalicelib.identity.callers import Role
from devstack.apigateway.server import create_server
from devstack.fakes import wechat
from devstack.fuzz import booking_data, helpdesk_data, inbox_data
from tests.support import factories

Headers = dict[str, str]

ALLOWED_CALLERS = {
    (one.endpoint.method, one.endpoint.path): sorted(one.endpoint.callers) for one in endpoints.iter_endpoints()
}
NON_OBJECT_BODIES = [
    *(b"{", b"[]", b"null", b"12", b'"text"', b"\xff\xfe{}", b"\x00", b"{}{}", b"a=1&b=2", b'{"a":"\\ud800"}'),
    *(b'{"a":' * 5000, b"[" * 100_000),
]
OVERSIZED_BODY = b'{"a":"' + b"a" * 2 * 1024 * 1024 + b'"}'
ODD_NUMBER_BODIES = [b'{"a":1e400}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":NaN}']
INVALID_TOKENS = ["", "nobody's", "0" * 43, "é" * 40, "a" * 5000]
INVALID_TENANT_IDS = ["0", "-1", "abc", "9" * 30, "1 OR 1=1", "²"]
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@contextmanager
def run_app() -> Iterator[str]:
    """The app on a free port of this machine, before a WeChat that believes everybody; gives its URL."""
    server = create_server("127.0.0.1", 0).server
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        with wechat.replace_real_server() as everybodys:
            everybodys.accepts_any_account = True
            yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class FuzzClient:
    """The way into the served app: a hospital with one caller of each kind, and every answer checked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy leads to this machine: looking for one takes a tenth of a request
        self.statuses: Counter[tuple[str, int]] = Counter()
        # Whom a boundary or an example names (1, 2, 3) may be disabled or demoted: nobody who asks here.
        mysql.autocommit.execute("ALTER TABLE people AUTO_INCREMENT = 1000000")
        made = factories.create_hospital("模糊测试医院")
        # Who is a patient too: one phone signs in at both doors.
        factories.create_patient(made.tenant_id, made.chen.phone, "陈医生")
        staff = {Role.DOCTOR: made.chen, Role.SERVICE_STAFF: made.desk, Role.ADMIN: made.admin}
        self._patient = made.lin
        self._headers: dict[str, Headers] = {
            **{kind: {"token": person.token} for kind, person in staff.items()},
            Role.SESSION: {"token": tokens.issue(made.tenant_id, "session:fuzz", Role.SESSION)},
            Role.SERVICE: {"X-Internal-Key": made.internal_key},
            Role.PUBLIC: {"tenantId": str(made.tenant_id)},
        }
        self.known_values: dict[str, Any] = {"phone": made.chen.phone, "password": factories.PASSWORD}
        self.known_values |= {
            "user_id": str(made.zhou.user_id),
            "pati_id": str(factories.create_patient_file(made.lin)),
        }
        self.known_values["tenantId"] = str(made.tenant_id)
        self.known_values["label_id"] = str(factories.create_group(made.desk, "慢病"))
        self._start_session(member_id=str(made.lin.member_id), doctor_id=str(made.chen.user_id))
        self._upload_file()
        self.known_values |= booking_data.create_schedules(self, made)
        self.known_values_by_path = inbox_data.send_messages(self, made) | helpdesk_data.create_chats(self, made)
        self.known_values["conversation_ids"] = [
            self._post_as_patient("/create_conversation", conversation_type=0)["ConversationId"]
        ]

    def get_headers(self, kind: str) -> Headers:
        """Return the headers that make a request this kind of caller's. A patient may have signed out just now."""
        if kind == Role.PATIENT:
            return {"token": tokens.issue(self._patient.tenant_id, self._patient.principal, Role.PATIENT)}
        return self._headers[kind]

    def insert_known_ids(self, values: dict[str, Any], path: str) -> dict[str, Any]:
        """Return the same fields, with ids that exist."""
        known = {**self.known_values, **self.known_values_by_path.get(path, {})}
        return {**values, **{name: known[name] for name in values if name in known}}

    def send(self, case: Case, headers: Headers) -> int:
        """Return the status that was answered. Raises where the answer is not as documented."""
        answer = case.call(base_url=self.url, session=self.session, headers=headers)
        conformance.check_response(case, answer, headers)
        self.statuses[case.operation.label, answer.status_code] += 1
        return answer.status_code

    def post(self, path: str, body: bytes, headers: Headers) -> requests.Response:
        answer = self.session.post(self.url + path, body, headers={"Content-Type": "application/json", **headers})
        conformance.check_envelope(path, answer.status_code, answer.headers, answer.content)
        return answer

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
        wanted = {"file_extension": "png", "file_type": "image/png", "msg_session": self.known_values["session_no"]}
        form = self._post_as_patient("/msg_service/msg/file/pre_upload", **wanted)
        requests.post(form["url"], form["fields"], files={"file": PNG_SIGNATURE}).raise_for_status()
        self.known_values["file_id"] = str(form["fileId"])


def fuzz_operation(door: FuzzClient, operation: Operation, examples: int, number: int) -> None:
    """Everything for one operation. Raises what was found wrong."""
    allowed = ALLOWED_CALLERS[operation.method.upper(), operation.path]
    check_example(door, operation, allowed)
    check_boundaries(door, operation, allowed)
    check_random_requests(door, operation, allowed, examples, number)
    if operation.body:
        check_malformed_bodies(door, operation, allowed[0])
    if Role.PUBLIC in allowed:
        check_unknown_tenants(door, operation)
    else:
        check_unauthorized_callers(door, operation, allowed)


def check_example(door: FuzzClient, operation: Operation, allowed: list[Role]) -> None:
    """The document's own example gets in, where it names what exists: else only refusals would be tried."""
    if operation.path not in conformance.EXAMPLE_PRECONDITIONS:
        case = conformance.build_example(operation, door.insert_known_ids)
        statuses = [door.send(case, door.get_headers(kind)) for kind in allowed]
        assert 200 in statuses, f"the example of {operation.label} is answered {statuses}"


def check_boundaries(door: FuzzClient, operation: Operation, allowed: list[Role]) -> None:
    """Shortest, longest, missing, one too many, another type: each once, as schemathesis lists them."""
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    generation = operation.schema.config.generation
    cases = operation.schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=generation)
    for number, case in enumerate(cases):
        door.send(case, door.get_headers(allowed[number % len(allowed)]))


def check_random_requests(
    door: FuzzClient, operation: Operation, allowed: list[Role], examples: int, number: int
) -> None:
    right = operation.as_strategy(GenerationMode.POSITIVE)
    can_be_wrong = operation.body or list(operation.iter_parameters())
    wrong = operation.as_strategy(GenerationMode.NEGATIVE) if can_be_wrong else right

    @hypothesis.seed(number)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(st.one_of(right, wrong), st.sampled_from(allowed), st.booleans())
    def one(case: Case, kind: str, informed: bool) -> None:
        if isinstance(case.body, dict):
            case.body = conformance.convert_whole_floats(case.body)
        if informed and case.meta and case.meta.generation.mode.is_positive:
            case.body = door.insert_known_ids(case.body, operation.path) if isinstance(case.body, dict) else case.body
            case.query = door.insert_known_ids(case.query, operation.path)
            case.path_parameters = door.insert_known_ids(case.path_parameters or {}, operation.path)
        door.send(case, door.get_headers(kind))

    one()


def check_malformed_bodies(door: FuzzClient, operation: Operation, kind: str) -> None:
    path = conformance.build_example(operation, door.insert_known_ids).formatted_path
    answers = {body: door.post(path, body, door.get_headers(kind)).status_code for body in NON_OBJECT_BODIES}
    refused = conformance.MALFORMED_BODY_STATUSES.get(operation.path, {400})
    assert {body[:80]: status for body, status in answers.items() if status not in refused} == {}
    assert door.post(path, OVERSIZED_BODY, door.get_headers(kind)).status_code == 413
    for body in ODD_NUMBER_BODIES:
        door.post(path, body, door.get_headers(kind))


def check_unauthorized_callers(door: FuzzClient, operation: Operation, allowed: list[Role]) -> None:
    """Nobody, and each kind of caller that was not declared, comes no further than the door."""
    case = conformance.build_example(operation, door.insert_known_ids)
    for kind in sorted(set(callers.Role) - set(allowed)):
        status = door.send(case, door.get_headers(kind))
        assert status == (401 if kind in (Role.PUBLIC, Role.SERVICE) else 403), f"{kind} is answered {status}"
    for token in INVALID_TOKENS:
        status = door.send(case, {"token": token.encode().decode("latin-1")})
        assert status == 401, f"the token {token!r} is answered {status}"


def check_unknown_tenants(door: FuzzClient, operation: Operation) -> None:
    case = conformance.build_example(operation, door.insert_known_ids)
    for tenant in INVALID_TENANT_IDS:
        status = door.send(case, {"tenantId": tenant.encode().decode("latin-1")})
        assert status == conformance.UNKNOWN_TENANT_STATUS.get(operation.path, 400), (
            f"tenant {tenant!r} is answered {status}"
        )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/fuzz")
    parser.add_argument("--examples", type=int, default=500, help="random requests for each operation")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="operations whose path contains this")
    wanted = parser.parse_args(arguments)
    logging.root.setLevel(logging.ERROR)
    migrations.migrate()
    sys.stdout.write(f"seed {wanted.seed}\n")
    with run_app() as url:
        door = FuzzClient(url)
        tried = [operation for operation in conformance.list_operations() if wanted.only in operation.path]
        survived = [run_operation(door, operation, wanted.examples, wanted.seed) for operation in tried]
    return 0 if all(survived) else 1


def run_operation(door: FuzzClient, operation: Operation, examples: int, number: int) -> bool:
    try:
        fuzz_operation(door, operation, examples, number)
    except (AssertionError, BaseExceptionGroup) as problem:
        sys.stdout.write(f"FAILED {operation.label}\n{problem}\n")
        return False
    own = sorted((status, count) for (label, status), count in door.statuses.items() if label == operation.label)
    sys.stdout.write(f"{operation.label}: " + ", ".join(f"{count}x{status}" for status, count in own) + "\n")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
