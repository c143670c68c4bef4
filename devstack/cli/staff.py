"""bin/staff: create a member of staff of a hospital in the local database, by default an administrator.

    bin/staff --phone 13900000009 --name 赵院长 [--role admin|doctor|service_staff] [--tenant ID]
    bin/staff --phone 13900000009 --reset-second-factor [--tenant ID]

The first prints the user's id and a password, which is shown only once. The second lets a person sign in again who has
lost the app of their second factor. On a deployed stage the migrate function does both; see docs/deployment.md.
"""

import argparse
import secrets
import sys

from chalicelib import migrations
from chalicelib.errors import ApiError
from chalicelib.identity import provisioning
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import tenants
from chalicelib.staff import staff_admin
from chalicelib.staff.staff_models import CreateStaffRequest

STAFF_ROLES = (Role.ADMIN, Role.DOCTOR, Role.SERVICE_STAFF)


def main(arguments: list[str]) -> int:
    """Run the command; return 1 if the person cannot be created."""
    parser = argparse.ArgumentParser(prog="bin/staff", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phone", required=True)
    parser.add_argument("--name", default="")
    parser.add_argument("--reset-second-factor", action="store_true")
    parser.add_argument("--role", choices=[str(one) for one in STAFF_ROLES], default=str(Role.ADMIN))
    parser.add_argument(
        "--tenant", default="", help="the hospital's tenant id; may be omitted if there is only one hospital"
    )
    options = parser.parse_args(arguments)
    migrations.migrate()
    try:
        tenant_id = tenants.get_for_visitor(options.tenant, "")
        if options.reset_second_factor:
            sys.stdout.write(_reset_second_factor(tenant_id, options.phone))
        else:
            sys.stdout.write(_create(tenant_id, options.phone, options.name, options.role))
    except (ApiError, LookupError, ValueError) as error:
        sys.stderr.write(f"bin/staff: {error}\n")
        return 1
    return 0


def _create(tenant_id: int, phone: str, name: str, role: str) -> str:
    password = secrets.token_urlsafe(12)
    request = CreateStaffRequest(name=name, phone=phone, role=role, password=password)  # type: ignore[arg-type]
    created = staff_admin.create(Caller(tenant_id, Role.ADMIN), request)
    return f"tenant {tenant_id}  {role} {created.user_id}  {phone}  password {password}\n"


def _reset_second_factor(tenant_id: int, phone: str) -> str:
    user_id = provisioning.reset_second_factor(tenant_id, phone)
    return f"tenant {tenant_id}  {user_id}  {phone}  signs in without a code\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
