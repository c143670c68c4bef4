"""How each service shows that it serves."""

from devstack.services import mariadb, s3, valkey

READINESS_CHECKS = {"mysql": mariadb.is_ready, "redis": valkey.is_ready, "s3": s3.is_ready}
