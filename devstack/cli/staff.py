"""bin/staff: create a member of staff of a hospital in the local database, by default an administrator.

    bin/staff --phone 13900000009 --name 赵院长 [--role admin|doctor|service_staff] [--tenant ID]

It prints the user's id and a password, which is shown only once. On a deployed stage a hospital is provisioned together
with its administrator instead; see docs/deployment.md.
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

STAFF_ROLES = (Role.ADMIN, Role.DOCTOR, Role.SERVICE_STAFF)


def main(arguments: list[str]) -> int:
    """Run the command; return 1 if the person cannot be created."""
    parser = argparse.ArgumentParser(prog="bin/staff", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phone", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--role", choices=[str(one) for one in STAFF_ROLES], default=str(Role.ADMIN))
    parser.add_argument(
        "--tenant", default="", help="the hospital's tenant id; may be omitted if there is only one hospital"
    )
    options = parser.parse_args(arguments)
    password = secrets.token_urlsafe(12)
    migrations.migrate()
    try:
        tenant_id = tenants.get_for_visitor(options.tenant, "")
        request = CreateStaffRequest(name=options.name, phone=options.phone, role=options.role, password=password)
        created = staff_admin.create(Caller(tenant_id, Role.ADMIN), request)
    except (ApiError, ValueError) as error:
        sys.stderr.write(f"bin/staff: {error}\n")
        return 1
    sys.stdout.write(f"tenant {tenant_id}  {options.role} {created.user_id}  {options.phone}  password {password}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
