"""How each service shows that it serves."""

from devstack import mariadb, s3, valkey

READY = {"mysql": mariadb.ready, "redis": valkey.ready, "s3": s3.ready}
