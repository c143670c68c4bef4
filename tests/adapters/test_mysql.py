"""Statements, transactions and packets of statements."""

from collections.abc import Callable, Iterator

import pytest

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Connection, DuplicateKeyError, StatementError, Tx
from chalicelib.errors import ApiError

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("beds_table")]

PERSON = "SELECT person FROM beds WHERE bed_id = %(bed)s"
OCCUPY = "UPDATE beds SET person = %(person)s WHERE bed_id = %(bed)s"

autocommit = mysql.run_autocommit


def occupy(bed: int, person: str) -> Callable[[Tx], int]:
    return lambda tx: tx.execute(OCCUPY, bed=bed, person=person)


def get_person(bed: int) -> str | None:
    person: str | None = autocommit(lambda tx: tx.fetch_value(PERSON, bed=bed))
    return person


def assert_not_locked(other_connection: Connection, bed: int) -> None:
    """Fail if a transaction holds a lock on the row."""
    with other_connection.cursor() as cursor:
        cursor.execute("SELECT bed_id FROM beds WHERE bed_id = %s FOR UPDATE NOWAIT", (bed,))


def test_fetch_value_returns_the_first_column_of_the_first_row() -> None:
    assert autocommit(lambda tx: tx.fetch_value("SELECT bed_id, person FROM beds ORDER BY bed_id DESC")) == 3
    assert autocommit(lambda tx: tx.fetch_value("SELECT bed_id FROM beds WHERE bed_id = 9")) is None


def test_fetch_one_returns_a_row_by_column_name() -> None:
    assert autocommit(lambda tx: tx.fetch_one("SELECT * FROM beds WHERE bed_id = 3")) == {
        "bed_id": 3,
        "person": "林小雨",
    }
    assert autocommit(lambda tx: tx.fetch_one("SELECT * FROM beds WHERE bed_id = 9")) is None


def test_fetch_all_returns_the_rows_in_order() -> None:
    rows = autocommit(lambda tx: tx.fetch_all("SELECT bed_id FROM beds ORDER BY bed_id DESC"))
    assert rows == [{"bed_id": 3}, {"bed_id": 2}, {"bed_id": 1}]
    assert autocommit(lambda tx: tx.fetch_all("SELECT bed_id FROM beds WHERE bed_id = 9")) == []


def test_execute_counts_matched_rows_even_if_unchanged() -> None:
    assert autocommit(occupy(1, "王强")) == 1
    assert autocommit(occupy(1, "王强")) == 1
    assert autocommit(occupy(9, "王强")) == 0


def test_insert_returns_the_new_id() -> None:
    assert autocommit(lambda tx: tx.insert("INSERT INTO beds (person) VALUES ('王强')")) == 4


def test_packet_returns_the_rows_of_each_statement() -> None:
    packet = "SET @bed = 3; SELECT person FROM beds WHERE bed_id = @bed; SELECT 1 AS one UNION SELECT 2"
    assert autocommit(lambda tx: tx.execute_packet(packet)) == [[], [{"person": "林小雨"}], [{"one": 1}, {"one": 2}]]


@pytest.mark.parametrize("person", ["😷👩‍⚕️", "' OR 1=1", "\\", '";--', "%s%(x)s", "\x00\n\x1a", ""])
def test_text_is_read_as_written(person: str) -> None:
    autocommit(occupy(1, person))
    assert get_person(1) == person


def test_bytes_are_read_as_written() -> None:
    every = bytes(range(256))
    assert autocommit(lambda tx: tx.fetch_value("SELECT CAST(%(every)s AS BINARY)", every=every)) == every


def test_transaction_is_visible_only_after_its_commit(other_connection: Connection) -> None:
    def count_taken() -> object:
        with other_connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) AS taken FROM beds WHERE person = '王强'")
            return cursor.fetchone()

    assert mysql.run_transaction(lambda tx: (occupy(1, "王强")(tx), count_taken())) == (1, {"taken": 0})
    assert count_taken() == {"taken": 1}


@pytest.mark.parametrize("error", [ZeroDivisionError(), ApiError(errors.CONFLICT), KeyboardInterrupt()])
def test_any_exception_rolls_back_and_releases_locks(error: BaseException, other_connection: Connection) -> None:
    def work(tx: Tx) -> None:
        occupy(1, "王强")(tx)
        raise error

    with pytest.raises(type(error)) as raised:
        mysql.run_transaction(work)
    assert raised.value is error
    assert get_person(1) is None
    assert_not_locked(other_connection, 1)


@pytest.mark.parametrize("second", ["SELECT nonsense", "INSERT INTO beds (person) VALUES ('林小雨')"])
def test_packet_that_fails_halfway_changes_nothing_and_releases_locks(
    second: str, other_connection: Connection
) -> None:
    packet = f"START TRANSACTION; UPDATE beds SET person = '王强' WHERE bed_id = 1; {second}; COMMIT"
    with pytest.raises((StatementError, DuplicateKeyError)):
        autocommit(lambda tx: tx.execute_packet(packet))
    assert_not_locked(other_connection, 1)
    assert get_person(1) is None


def test_unread_results_of_a_packet_are_discarded() -> None:
    with pytest.raises(ZeroDivisionError):
        autocommit(lambda tx: 1 / tx.fetch_value("SELECT 0; SELECT 'left' AS person; SELECT 'over'"))
    assert get_person(3) == "林小雨"


def test_duplicate_error_names_the_index() -> None:
    with pytest.raises(DuplicateKeyError) as raised:
        autocommit(occupy(1, "林小雨"))
    assert raised.value.key == "one_bed_each"


def test_duplicate_error_names_the_primary_key() -> None:
    with pytest.raises(DuplicateKeyError) as raised:
        autocommit(lambda tx: tx.execute("INSERT INTO beds (bed_id) VALUES (3)"))
    assert raised.value.key == "PRIMARY"


def test_value_is_not_mistaken_for_the_index_name() -> None:
    autocommit(lambda tx: tx.execute("ALTER TABLE beds MODIFY person VARCHAR(40)"))
    autocommit(occupy(1, "x' for key 'beds.PRIMARY'"))
    with pytest.raises(DuplicateKeyError) as raised:
        autocommit(occupy(2, "x' for key 'beds.PRIMARY'"))
    assert raised.value.key == "one_bed_each"


def test_statement_error_has_the_number() -> None:
    with pytest.raises(StatementError) as raised:
        autocommit(occupy(1, "九个字的名字太长了"))
    assert raised.value.number == 1406


@pytest.fixture
def server_with_other_defaults() -> Iterator[None]:
    """A server with other default settings than a session needs."""
    names = ("sql_mode", "time_zone", get_isolation_variable())
    before = autocommit(lambda tx: [tx.fetch_value(f"SELECT @@GLOBAL.{name}") for name in names])
    set_globals(names, ["", "+08:00", "REPEATABLE-READ"])
    yield
    set_globals(names, before)


def get_isolation_variable() -> str:
    """The variable's name: tx_isolation on MariaDB, transaction_isolation on MySQL."""
    sql = "SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')"
    return str(autocommit(lambda tx: tx.fetch_value(sql)))


def set_globals(names: tuple[str, ...], values: list[str]) -> None:
    pairs = zip(names, values, strict=True)
    autocommit(lambda tx: [tx.execute(f"SET GLOBAL {name} = %(value)s", value=value) for name, value in pairs])


@pytest.mark.usefixtures("server_with_other_defaults")
def test_connection_does_not_depend_on_the_servers_defaults() -> None:
    connection = mysql._connect()
    with connection, connection.cursor() as cursor:
        tx = Tx(cursor)
        assert tx.fetch_value(f"SELECT @@{get_isolation_variable()}") == "READ-COMMITTED"
        assert tx.fetch_value("SELECT @@time_zone") == "+00:00"
        assert tx.fetch_value("SELECT @@innodb_lock_wait_timeout") == 3
        assert tx.fetch_value("SELECT @@autocommit") == 1
        assert set(tx.fetch_value("SELECT @@sql_mode").split(",")) == {
            *("ONLY_FULL_GROUP_BY", "STRICT_TRANS_TABLES", "NO_ZERO_IN_DATE", "NO_ZERO_DATE"),
            *("ERROR_FOR_DIVISION_BY_ZERO", "NO_ENGINE_SUBSTITUTION"),
        }
