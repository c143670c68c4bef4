"""Who is at the help desk of a demo hospital: the service desk, on duty; its doctors hold posts too, off duty."""

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.people import posts

MAX_PATIENTS = 5  # patients at once


def seed(tenant_id: int, by: int) -> None:
    """Add posts where there are none."""
    mysql.run_transaction(lambda tx: _seed(tx, tenant_id, by))


def _seed(tx: Tx, tenant_id: int, by: int) -> None:
    if posts.list_all(tx, tenant_id):
        return
    sql = "SELECT user_id, role FROM staff WHERE tenant_id = %(id)s AND role IN ('doctor', 'service_staff')"
    for one in tx.fetch_all(f"{sql} ORDER BY user_id", id=tenant_id):
        serves = one["role"] == "service_staff"
        about = posts.PostSettings(title="导诊" if serves else "医生", dept_id=None, skill="", cap=MAX_PATIENTS)
        post_id = posts.create(tx, tenant_id, one["user_id"], about, by)
        posts.set_on_duty(tx, tenant_id, post_id, serves, by)
