"""Posts at the help desk of a demo hospital: service staff are on duty, doctors are off duty."""

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.people import posts
from chalicelib.people.roles import Role

MAX_PATIENTS = 5  # served by one agent at the same time


def seed(tenant_id: int, by: int) -> None:
    """Create posts if the hospital has none."""
    mysql.run_transaction(lambda tx: _seed(tx, tenant_id, by))


def _seed(tx: Tx, tenant_id: int, by: int) -> None:
    if posts.list_all(tx, tenant_id):
        return
    sql = "SELECT user_id, role FROM staff WHERE tenant_id = %(id)s AND role IN %(roles)s"
    for one in tx.fetch_all(f"{sql} ORDER BY user_id", id=tenant_id, roles=[Role.DOCTOR, Role.SERVICE_STAFF]):
        on_duty = one["role"] == Role.SERVICE_STAFF
        settings = posts.PostSettings(title="导诊" if on_duty else "医生", dept_id=None, skill="", cap=MAX_PATIENTS)
        post_id = posts.create(tx, tenant_id, one["user_id"], settings, by)
        posts.set_on_duty(tx, tenant_id, post_id, on_duty, by)
