"""bin/staff: a member of staff of a hospital in the local database: its first administrator, if nothing else is said.

    bin/staff --phone 13900000009 --name 赵院长 [--role admin|doctor|service_staff] [--tenant ID]

prints the user's id and a password, once. On a deployed stage a hospital is founded with its administrator instead:
docs/deployment.md.
"""

import argparse
import secrets
import sys

from chalicelib import migrations
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import tenants
from chalicelib.staff import staff_admin
from chalicelib.staff.staff_models import CreateStaffRequest


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/staff", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phone", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--role", choices=["admin", "doctor", "service_staff"], default="admin")
    parser.add_argument("--tenant", default="", help="its number; may be left out where there is one hospital")
    options = parser.parse_args(arguments)
    password = secrets.token_urlsafe(12)
    migrations.migrate()
    try:
        tenant_id = tenants.get_for_visitor(options.tenant, "")
        wanted = CreateStaffRequest(name=options.name, phone=options.phone, role=options.role, password=password)
        made = staff_admin.create(Caller(tenant_id, Role.ADMIN), wanted)
    except (ApiError, ValueError) as problem:
        sys.stderr.write(f"bin/staff: {problem}\n")
        return 1
    sys.stdout.write(f"tenant {tenant_id}  {options.role} {made.user_id}  {options.phone}  password {password}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
