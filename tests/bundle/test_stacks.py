"""What stands below the bundle: infra/*.yaml."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from tests.bundle.conftest import Package
from tests.support.cloudformation import STACKS, find_resources, iter_imports, read_stack

TEMPLATES = {path.stem: read_stack(path) for path in STACKS}


def only(stack: str, kind: str) -> dict[str, Any]:
    (one,) = find_resources(TEMPLATES[stack], kind).values()
    return dict(one["Properties"])


def exports(stack: str) -> set[str]:
    outputs = TEMPLATES[stack].get("Outputs", {}).values()
    return {one["Export"]["Name"]["Fn::Sub"].removeprefix("${Environment}-") for one in outputs if "Export" in one}


def test_the_bundle_imports_only_what_a_stack_exports(package: Package) -> None:
    every = set().union(*map(exports, TEMPLATES))
    assert set(iter_imports(package.template)) <= every
    assert set(iter_imports(list(TEMPLATES.values()))) <= every


def test_the_stacks_can_be_made_in_the_order_that_the_documentation_gives() -> None:
    made: set[str] = set()
    for stack in ("account", "network", "storage", "data", "alarms"):
        assert set(iter_imports(TEMPLATES[stack])) <= made
        made |= exports(stack)
    assert {path.stem for path in STACKS} == {"account", "network", "storage", "data", "alarms"}


def test_functions_leave_by_fixed_addresses_and_data_by_none() -> None:
    network = TEMPLATES["network"]["Resources"]
    nats = find_resources(TEMPLATES["network"], "AWS::EC2::NatGateway").values()
    assert {one["Properties"]["AllocationId"]["Fn::GetAtt"][0] for one in nats} == {"AddressA", "AddressB"}
    routes = [one["Properties"] for one in find_resources(TEMPLATES["network"], "AWS::EC2::Route").values()]
    ways = {one["RouteTableId"]["Ref"]: set(one) & {"NatGatewayId", "GatewayId"} for one in routes}
    assert ways == {
        "GatewayRoutes": {"GatewayId"},
        "FunctionRoutesA": {"NatGatewayId"},
        "FunctionRoutesB": {"NatGatewayId"},
    }
    assert network["DataRoutesA"]["Properties"]["RouteTableId"] == {"Ref": "DataRoutes"}


def test_the_database_survives_a_zone_and_speaks_only_tls() -> None:
    database = only("data", "AWS::RDS::DBInstance")
    assert database["EngineVersion"] == {"Ref": "DatabaseVersion"}
    assert TEMPLATES["data"]["Parameters"]["DatabaseVersion"]["Default"].startswith("8.4.")
    assert all(database[one] is True for one in ("MultiAZ", "StorageEncrypted", "DeletionProtection"))
    assert database["PubliclyAccessible"] is False
    assert database["BackupRetentionPeriod"] >= 7
    assert only("data", "AWS::RDS::DBParameterGroup")["Parameters"]["require_secure_transport"] == "ON"


def test_what_the_database_logs_is_not_kept_for_ever() -> None:
    """RDS makes a log group that is not there, without an end; and a slow statement is logged with its values."""
    database = TEMPLATES["data"]["Resources"]["Database"]
    groups = find_resources(TEMPLATES["data"], "AWS::Logs::LogGroup")
    assert set(database["DependsOn"]) == set(groups), "else RDS is there first"
    assert database["Properties"]["DBInstanceIdentifier"] == {"Ref": "Environment"}
    kept = {
        one["Properties"]["LogGroupName"]["Fn::Sub"]: one["Properties"]["RetentionInDays"] for one in groups.values()
    }
    assert set(database["Properties"]["EnableCloudwatchLogsExports"]) == {"error", "slowquery"}
    assert kept == {
        "/aws/rds/instance/${Environment}/error": 180,
        "/aws/rds/instance/${Environment}/slowquery": 14,
    }


def test_the_database_starts_with_the_settings_that_connections_ask_for() -> None:
    parameters = only("data", "AWS::RDS::DBParameterGroup")["Parameters"]
    assert [mode for mode in parameters["sql_mode"].split(",") if mode not in mysql.SESSION_SQL] == []
    assert parameters["transaction_isolation"].replace("-", " ") in mysql.SESSION_SQL
    assert parameters["innodb_flush_log_at_trx_commit"] == parameters["sync_binlog"] == "1"


def test_the_cache_is_a_cluster_behind_tls_and_a_password() -> None:
    cache = only("data", "AWS::ElastiCache::ReplicationGroup")
    secured = ("TransitEncryptionEnabled", "AtRestEncryptionEnabled", "AutomaticFailoverEnabled", "MultiAZEnabled")
    assert all(cache[one] is True for one in secured)
    assert "resolve:secretsmanager" in cache["AuthToken"]["Fn::Sub"]
    properties = only("data", "AWS::ElastiCache::ParameterGroup")["Properties"]
    assert properties == {"cluster-enabled": "yes", "maxmemory-policy": "allkeys-lru"}


def test_the_bucket_is_private_encrypted_and_forgets_what_was_never_finished() -> None:
    bucket = only("storage", "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    rules = {one["Id"]: one for one in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["aborted"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    (rule,) = bucket["CorsConfiguration"]["CorsRules"]
    assert "POST" in rule["AllowedMethods"]


def test_every_alarm_on_the_data_wakes_somebody_and_says_what_to_do() -> None:
    alarms = [one["Properties"] for one in find_resources(TEMPLATES["alarms"], "AWS::CloudWatch::Alarm").values()]
    metrics = {one["MetricName"] for one in alarms}
    assert {"CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "Evictions"} <= metrics
    assert all(one["AlarmActions"] == one["OKActions"] == [{"Ref": "Alarms"}] for one in alarms)
    assert [one for one in alarms if len(one["AlarmDescription"]) < 20] == []


@pytest.mark.parametrize("stack", TEMPLATES)
def test_what_holds_data_is_not_deleted_with_its_stack(stack: str) -> None:
    keepers = (
        "AWS::RDS::DBInstance",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
        "AWS::KMS::Key",
        "AWS::EC2::EIP",
    )
    for one in TEMPLATES[stack]["Resources"].values():
        if one["Type"] in keepers:
            assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] in ("Retain", "Snapshot")
