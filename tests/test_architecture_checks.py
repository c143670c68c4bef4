"""Each check of tests/support/architecture.py finds a planted violation, and accepts the correct form."""

import pytest

from tests.support import architecture
from tests.support.vocabulary import BANNED_WORDS

ROWS = [("errors", "clock"), ("adapters",), ("outbox",), ("booking", "payment")]


@pytest.mark.parametrize(
    "line",
    [
        "from chalicelib.booking import routes",
        "import chalicelib.booking.routes",
        "def work():\n    from chalicelib.booking import routes",
        "if TYPE_CHECKING:\n    from chalicelib.booking import routes",
    ],
)
def test_an_upward_import_is_found(line: str) -> None:
    assert architecture.find_upward_imports({"chalicelib/outbox/store.py": line}, ROWS) == [
        "chalicelib/outbox/store.py: imports chalicelib.booking.routes"
    ]


@pytest.mark.parametrize(
    "module", ["chalicelib.payment", "app", "bundle", "apidocs", "devstack", "infra", "tests.support", "bench"]
)
def test_an_import_of_another_group_or_program_is_found(module: str) -> None:
    sources = {"chalicelib/booking/routes.py": f"import {module}"}
    assert architecture.find_upward_imports(sources, ROWS) == [f"chalicelib/booking/routes.py: imports {module}"]


def test_a_relative_import_is_found() -> None:
    sources = {"chalicelib/booking/routes.py": "from .. import payment"}
    assert len(architecture.find_upward_imports(sources, ROWS)) == 1


def test_imports_from_lower_rows_are_accepted() -> None:
    sources = {
        "chalicelib/__init__.py": "",
        "chalicelib/errors.py": "from chalicelib import clock",
        "chalicelib/booking/routes.py": "import json\nfrom chalicelib import errors\nfrom chalicelib.booking import a",
    }
    assert architecture.find_upward_imports(sources, ROWS) == []


def test_a_cycle_of_packages_is_found_though_its_modules_have_none() -> None:
    sources = {
        "chalicelib/__init__.py": "",
        "chalicelib/files/__init__.py": "",
        "chalicelib/files/store.py": "from chalicelib.people import names",
        "chalicelib/files/links.py": "",
        "chalicelib/people/__init__.py": "",
        "chalicelib/people/names.py": "",
        "chalicelib/people/pictures.py": "from chalicelib.crypto import keys",
        "chalicelib/crypto/__init__.py": "",
        "chalicelib/crypto/keys.py": "def load():\n    from chalicelib.files.links import sign",
    }
    assert architecture.find_package_cycles(sources) == [
        "chalicelib.crypto <-> chalicelib.files <-> chalicelib.people",
    ]
    sources["chalicelib/crypto/keys.py"] = ""
    assert architecture.find_package_cycles(sources) == []


def test_a_cycle_of_subpackages_is_found() -> None:
    sources = {
        "chalicelib/booking/__init__.py": "",
        "chalicelib/booking/calendar/__init__.py": "",
        "chalicelib/booking/calendar/offers.py": "from chalicelib.booking.jobs import scheduled",
        "chalicelib/booking/jobs/__init__.py": "",
        "chalicelib/booking/jobs/scheduled.py": "",
        "chalicelib/booking/jobs/reminders.py": "import chalicelib.booking.calendar",
    }
    assert architecture.find_package_cycles(sources) == ["chalicelib.booking.calendar <-> chalicelib.booking.jobs"]


def test_a_cycle_of_a_package_and_its_own_subpackage_is_found() -> None:
    sources = {
        "chalicelib/booking/__init__.py": "",
        "chalicelib/booking/routes.py": "from chalicelib.booking.jobs import scheduled",
        "chalicelib/booking/models.py": "",
        "chalicelib/booking/jobs/__init__.py": "",
        "chalicelib/booking/jobs/scheduled.py": "from chalicelib.booking.models import Booking",
    }
    assert architecture.find_package_cycles(sources) == ["chalicelib.booking <-> chalicelib.booking.jobs"]


@pytest.mark.parametrize(
    "line",
    [
        'HANDLER = "chalicelib.booking.jobs"',
        'name = f"chalicelib.{group}.routes"',
        'load("chalicelib")',
        "importlib.import_module(name)",
        "import_module(name)",
        "__import__(name)",
    ],
)
def test_an_import_by_string_is_found(line: str) -> None:
    assert architecture.find_module_names_in_strings({"chalicelib/outbox/jobs.py": line}) != []


def test_a_module_name_in_a_docstring_is_accepted() -> None:
    sources = {"chalicelib/outbox/jobs.py": '"""See chalicelib.booking.jobs."""\nPATH = "a/chalicelib/b"'}
    assert architecture.find_module_names_in_strings(sources) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM bookings WHERE status = 0",
        "UPDATE bookings SET payment_state = 2 WHERE book_id = %(book_id)s",
        "SELECT 1 FROM bookings b WHERE b.status IN (0, 2)",
        "SELECT 1 FROM bookings WHERE status NOT IN (%(booked)s) AND status <> 3",
        "SELECT 1 FROM chats WHERE state = 'waiting'",
        "SELECT 1 FROM chats WHERE kind IN ('desk', 'direct')",
        "AND s.role = 'doctor'",
        "done_at = IF(%(state)s = 'success', %(now)s, done_at)",
        "INSERT INTO bookings (book_id, status, slots) VALUES (%(book_id)s, 0, 1)",
    ],
)
def test_an_enum_value_in_sql_is_found(sql: str) -> None:
    for text in (f'SQL = """{sql}"""', f'SQL = f"""{{BEGIN}} {sql}"""', f'SQL = f"""{{{sql!r} if wanted else 1}}"""'):
        assert architecture.find_enum_literals_in_sql({"chalicelib/booking/store.py": text}) != []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS n FROM bookings WHERE status = %(booked)s AND live = 1 LIMIT 1",
        "SELECT CONCAT('user:', user_id) FROM staff WHERE unread_count > 0",
        "INSERT INTO bookings (book_id, status, slots) VALUES (%(book_id)s, %(booked)s, 0)",
        "redis.call('SET', KEYS[1], 'state')",
        "The status is 'open'.",
    ],
)
def test_parameters_and_counts_in_sql_are_accepted(sql: str) -> None:
    assert architecture.find_enum_literals_in_sql({"chalicelib/booking/store.py": f'SQL = """{sql}"""'}) == []


@pytest.mark.parametrize(
    "line",
    [
        "def find_asked(): ...",
        "class SlotAsked: ...",
        "def find(asked): ...",
        "def find(*, retryAsked=None): ...",
        "asked = 1",
        "ASKED = 1",
        "for asked in []: ...",
        "with open(name) as asked: ...",
        "self.asked = 1",
        "class Slot:\n    asked: int",
        "import query as asked",
        "try: ...\nexcept OSError as asked: ...",
        "[asked for asked in []]",
        "lambda asked: 1",
    ],
)
def test_a_banned_identifier_is_found(line: str) -> None:
    [problem] = {
        one.partition(": ")[2].partition(": ")[2]
        for one in architecture.find_banned_identifiers({"devstack/store.py": line})
    }
    assert problem == f"say {BANNED_WORDS['asked']}"


def test_a_banned_file_name_is_found() -> None:
    assert architecture.find_banned_identifiers({"chalicelib/consult/regrets.py": ""}) == [
        "chalicelib/consult/regrets.py:1: regrets: say withdrawals and ratings"
    ]


def test_the_published_name_of_a_view_is_accepted() -> None:
    decorated = {"chalicelib/helpdesk/routes.py": '@routes.post("/message/obtainShunt")\ndef obtain_shunt(): ...'}
    assert architecture.find_banned_identifiers(decorated) == []
    assert len(architecture.find_banned_identifiers({"chalicelib/helpdesk/routes.py": "def obtain_shunt(): ..."})) == 1


def test_a_banned_word_inside_another_word_or_in_a_text_is_accepted() -> None:
    sources = {"chalicelib/booking/store.py": "tasked = planes = site = 'asked'\nprint(other.told)"}
    assert architecture.find_banned_identifiers(sources) == []


def test_a_long_file_is_found() -> None:
    sources = {"a.py": "x = 1\n" * 400, "b.py": "x = 1\n" * 401}
    assert architecture.find_long_files_and_functions(sources) == ["b.py: 401 lines"]


def test_a_long_function_is_found() -> None:
    """A multi-line text counts as one line."""

    def build_function(body: str) -> str:
        return f"class A:\n    def work(self):\n{body}"

    line = "        x = 1\n"
    sources = {
        "a.py": build_function(line * 39),
        "b.py": build_function('        x = """\n\n\n"""\n' + line * 38),
        "c.py": build_function(line * 40),
    }
    assert architecture.find_long_files_and_functions(sources) == ["c.py: work has 41 lines"]


@pytest.mark.parametrize(
    "text",
    [
        "def work(): ...",
        "async def work(): ...",
        "class work: ...",
        'class A:\n    """A."""\n    def work(self): ...',
        "if True:\n    def work(): ...",
    ],
)
def test_a_missing_docstring_is_found(text: str) -> None:
    [problem] = architecture.find_missing_docstrings({"chalicelib/clock.py": text})
    assert problem.endswith(": work")


def test_private_and_nested_functions_need_no_docstring() -> None:
    text = 'def _work(): ...\nclass _A:\n    def work(self): ...\ndef work():\n    """Work."""\n    def inner(): ...'
    assert architecture.find_missing_docstrings({"chalicelib/clock.py": text}) == []


@pytest.mark.parametrize(
    "docstring", ["Return the time", "Return the time.\n    Raises: nothing.", "Return the\n    time."]
)
def test_an_unfinished_summary_is_found(docstring: str) -> None:
    text = f'def work():\n    """{docstring}"""'
    assert len(architecture.find_unfinished_summaries({"chalicelib/clock.py": text})) == 1


@pytest.mark.parametrize("docstring", ["Return the time.", "Return the time.\n\n    Raises: nothing.", "患者登录"])
def test_a_finished_summary_is_accepted(docstring: str) -> None:
    text = f'def work():\n    """{docstring}"""'
    assert architecture.find_unfinished_summaries({"chalicelib/clock.py": text}) == []
