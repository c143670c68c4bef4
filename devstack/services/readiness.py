"""The function that checks whether a service is ready, by its name."""

from devstack.services import mariadb, s3, valkey

READINESS_CHECKS = {"mysql": mariadb.is_ready, "redis": valkey.is_ready, "s3": s3.is_ready}
