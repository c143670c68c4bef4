"""What a statement, a transaction and a packet of statements promise."""

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


def in_bed(bed: int) -> str | None:
    person: str | None = autocommit(lambda tx: tx.fetch_value(PERSON, bed=bed))
    return person


def assert_free_at_once(other_connection: Connection, bed: int) -> None:
    """Fail if anybody holds the row's lock."""
    with other_connection.cursor() as cursor:
        cursor.execute("SELECT bed_id FROM beds WHERE bed_id = %s FOR UPDATE NOWAIT", (bed,))


def test_value_is_the_first_column_of_the_first_row() -> None:
    assert autocommit(lambda tx: tx.fetch_value("SELECT bed_id, person FROM beds ORDER BY bed_id DESC")) == 3
    assert autocommit(lambda tx: tx.fetch_value("SELECT bed_id FROM beds WHERE bed_id = 9")) is None


def test_one_is_a_row_by_its_columns_names() -> None:
    assert autocommit(lambda tx: tx.fetch_one("SELECT * FROM beds WHERE bed_id = 3")) == {
        "bed_id": 3,
        "person": "林小雨",
    }
    assert autocommit(lambda tx: tx.fetch_one("SELECT * FROM beds WHERE bed_id = 9")) is None


def test_all_are_the_rows_in_their_order() -> None:
    rows = autocommit(lambda tx: tx.fetch_all("SELECT bed_id FROM beds ORDER BY bed_id DESC"))
    assert rows == [{"bed_id": 3}, {"bed_id": 2}, {"bed_id": 1}]
    assert autocommit(lambda tx: tx.fetch_all("SELECT bed_id FROM beds WHERE bed_id = 9")) == []


def test_run_counts_matched_rows_even_if_nothing_changes() -> None:
    assert autocommit(occupy(1, "王强")) == 1
    assert autocommit(occupy(1, "王强")) == 1
    assert autocommit(occupy(9, "王强")) == 0


def test_insert_returns_the_new_id() -> None:
    assert autocommit(lambda tx: tx.insert("INSERT INTO beds (person) VALUES ('王强')")) == 4


def test_a_packet_returns_the_rows_of_each_statement() -> None:
    packet = "SET @bed = 3; SELECT person FROM beds WHERE bed_id = @bed; SELECT 1 AS one UNION SELECT 2"
    assert autocommit(lambda tx: tx.execute_packet(packet)) == [[], [{"person": "林小雨"}], [{"one": 1}, {"one": 2}]]


@pytest.mark.parametrize("person", ["😷👩‍⚕️", "' OR 1=1", "\\", '";--', "%s%(x)s", "\x00\n\x1a", ""])
def test_a_value_comes_back_as_it_went(person: str) -> None:
    autocommit(occupy(1, person))
    assert in_bed(1) == person


def test_bytes_come_back_as_they_went() -> None:
    every = bytes(range(256))
    assert autocommit(lambda tx: tx.fetch_value("SELECT CAST(%(every)s AS BINARY)", every=every)) == every


def test_a_transaction_is_seen_whole_after_its_commit(other_connection: Connection) -> None:
    def taken() -> object:
        with other_connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) AS taken FROM beds WHERE person = '王强'")
            return cursor.fetchone()

    assert mysql.run_transaction(lambda tx: (occupy(1, "王强")(tx), taken())) == (1, {"taken": 0})
    assert taken() == {"taken": 1}


@pytest.mark.parametrize("error", [ZeroDivisionError(), ApiError(errors.CONFLICT), KeyboardInterrupt()])
def test_whatever_is_raised_rolls_back_and_frees_the_rows(error: BaseException, other_connection: Connection) -> None:
    def work(tx: Tx) -> None:
        occupy(1, "王强")(tx)
        raise error

    with pytest.raises(type(error)) as raised:
        mysql.run_transaction(work)
    assert raised.value is error
    assert in_bed(1) is None
    assert_free_at_once(other_connection, 1)


@pytest.mark.parametrize("second", ["SELECT nonsense", "INSERT INTO beds (person) VALUES ('林小雨')"])
def test_a_packet_that_fails_half_way_leaves_nothing_and_holds_no_row(
    second: str, other_connection: Connection
) -> None:
    packet = f"START TRANSACTION; UPDATE beds SET person = '王强' WHERE bed_id = 1; {second}; COMMIT"
    with pytest.raises((StatementError, DuplicateKeyError)):
        autocommit(lambda tx: tx.execute_packet(packet))
    assert_free_at_once(other_connection, 1)
    assert in_bed(1) is None


def test_a_packet_that_was_left_unread_does_not_answer_the_next_request() -> None:
    with pytest.raises(ZeroDivisionError):
        autocommit(lambda tx: 1 / tx.fetch_value("SELECT 0; SELECT 'left' AS person; SELECT 'over'"))
    assert in_bed(3) == "林小雨"


def test_two_in_one_bed_are_a_duplicate_that_names_the_index() -> None:
    with pytest.raises(DuplicateKeyError) as raised:
        autocommit(occupy(1, "林小雨"))
    assert raised.value.key == "one_bed_each"


def test_a_primary_key_is_named_too() -> None:
    with pytest.raises(DuplicateKeyError) as raised:
        autocommit(lambda tx: tx.execute("INSERT INTO beds (bed_id) VALUES (3)"))
    assert raised.value.key == "PRIMARY"


def test_an_entry_cannot_pass_for_an_index() -> None:
    autocommit(lambda tx: tx.execute("ALTER TABLE beds MODIFY person VARCHAR(40)"))
    autocommit(occupy(1, "x' for key 'beds.PRIMARY'"))
    with pytest.raises(DuplicateKeyError) as raised:
        autocommit(occupy(2, "x' for key 'beds.PRIMARY'"))
    assert raised.value.key == "one_bed_each"


def test_a_refused_statement_says_its_number() -> None:
    with pytest.raises(StatementError) as raised:
        autocommit(occupy(1, "九个字的名字太长了"))
    assert raised.value.number == 1406


@pytest.fixture
def careless_server() -> Iterator[None]:
    """A server whose own defaults are not ours."""
    names = ("sql_mode", "time_zone", isolation())
    before = autocommit(lambda tx: [tx.fetch_value(f"SELECT @@GLOBAL.{name}") for name in names])
    set_globals(names, ["", "+08:00", "REPEATABLE-READ"])
    yield
    set_globals(names, before)


def isolation() -> str:
    """The variable's name: tx_isolation on MariaDB, transaction_isolation on MySQL."""
    sql = "SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')"
    return str(autocommit(lambda tx: tx.fetch_value(sql)))


def set_globals(names: tuple[str, ...], values: list[str]) -> None:
    pairs = zip(names, values, strict=True)
    autocommit(lambda tx: [tx.execute(f"SET GLOBAL {name} = %(value)s", value=value) for name, value in pairs])


@pytest.mark.usefixtures("careless_server")
def test_a_connection_works_by_our_settings_whatever_the_servers_are() -> None:
    connection = mysql._connect()
    with connection, connection.cursor() as cursor:
        tx = Tx(cursor)
        assert tx.fetch_value(f"SELECT @@{isolation()}") == "READ-COMMITTED"
        assert tx.fetch_value("SELECT @@time_zone") == "+00:00"
        assert tx.fetch_value("SELECT @@innodb_lock_wait_timeout") == 3
        assert tx.fetch_value("SELECT @@autocommit") == 1
        assert set(tx.fetch_value("SELECT @@sql_mode").split(",")) == {
            *("ONLY_FULL_GROUP_BY", "STRICT_TRANS_TABLES", "NO_ZERO_IN_DATE", "NO_ZERO_DATE"),
            *("ERROR_FOR_DIVISION_BY_ZERO", "NO_ENGINE_SUBSTITUTION"),
        }
