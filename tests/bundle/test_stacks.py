"""The stacks beneath the bundle: infra/*.yaml."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from tests.bundle.conftest import Package
from tests.support.cloudformation import STACKS, find_resources, iter_imports, read_stack

TEMPLATES = {path.stem: read_stack(path) for path in STACKS}


def find_only(stack: str, kind: str) -> dict[str, Any]:
    (one,) = find_resources(TEMPLATES[stack], kind).values()
    return dict(one["Properties"])


def list_exports(stack: str) -> set[str]:
    outputs = TEMPLATES[stack].get("Outputs", {}).values()
    return {one["Export"]["Name"]["Fn::Sub"].removeprefix("${Environment}-") for one in outputs if "Export" in one}


def test_bundle_imports_only_exported_values(package: Package) -> None:
    every = set().union(*map(list_exports, TEMPLATES))
    assert set(iter_imports(package.template)) <= every
    assert set(iter_imports(list(TEMPLATES.values()))) <= every


def test_stacks_can_be_created_in_the_documented_order() -> None:
    exported: set[str] = set()
    for stack in ("account", "network", "storage", "data", "alarms"):
        assert set(iter_imports(TEMPLATES[stack])) <= exported
        exported |= list_exports(stack)
    assert {path.stem for path in STACKS} == {"account", "network", "storage", "data", "alarms"}


def test_functions_have_fixed_addresses_and_data_has_no_internet() -> None:
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


def test_database_is_multi_az_and_requires_tls() -> None:
    database = find_only("data", "AWS::RDS::DBInstance")
    assert database["EngineVersion"] == {"Ref": "DatabaseVersion"}
    assert TEMPLATES["data"]["Parameters"]["DatabaseVersion"]["Default"].startswith("8.4.")
    assert all(database[one] is True for one in ("MultiAZ", "StorageEncrypted", "DeletionProtection"))
    assert database["PubliclyAccessible"] is False
    assert database["BackupRetentionPeriod"] >= 7
    assert find_only("data", "AWS::RDS::DBParameterGroup")["Parameters"]["require_secure_transport"] == "ON"


def test_logs_of_the_database_expire() -> None:
    """RDS creates missing log groups without expiry."""
    database = TEMPLATES["data"]["Resources"]["Database"]
    groups = find_resources(TEMPLATES["data"], "AWS::Logs::LogGroup")
    assert set(database["DependsOn"]) == set(groups), "else RDS is there first"
    assert database["Properties"]["DBInstanceIdentifier"] == {"Ref": "Environment"}
    retained = {
        one["Properties"]["LogGroupName"]["Fn::Sub"]: one["Properties"]["RetentionInDays"] for one in groups.values()
    }
    assert database["Properties"]["EnableCloudwatchLogsExports"] == ["error"]
    assert retained == {"/aws/rds/instance/${Environment}/error": 180}


def test_database_records_no_values_of_statements() -> None:
    """Slow-query logs, deadlocks in the error log, and Performance Insights would contain patients' data."""
    database = find_only("data", "AWS::RDS::DBInstance")
    parameters = find_only("data", "AWS::RDS::DBParameterGroup")["Parameters"]
    assert (parameters["slow_query_log"], parameters["innodb_print_all_deadlocks"]) == ("0", "0")
    assert not {"general_log", "long_query_time"} & set(parameters)
    assert (parameters["performance_schema"], parameters["performance_schema_max_sql_text_length"]) == ("1", "0")
    assert database["EnablePerformanceInsights"] is False


def test_database_defaults_equal_the_session_settings() -> None:
    parameters = find_only("data", "AWS::RDS::DBParameterGroup")["Parameters"]
    assert [mode for mode in parameters["sql_mode"].split(",") if mode not in mysql.SESSION_SQL] == []
    assert parameters["transaction_isolation"].replace("-", " ") in mysql.SESSION_SQL
    assert parameters["innodb_lock_wait_timeout"] == str(mysql.LOCK_WAIT_SECONDS)
    assert parameters["innodb_flush_log_at_trx_commit"] == parameters["sync_binlog"] == "1"


def test_cache_is_a_cluster_with_tls_and_a_password() -> None:
    cache = find_only("data", "AWS::ElastiCache::ReplicationGroup")
    secured = ("TransitEncryptionEnabled", "AtRestEncryptionEnabled", "AutomaticFailoverEnabled", "MultiAZEnabled")
    assert all(cache[one] is True for one in secured)
    assert "resolve:secretsmanager" in cache["AuthToken"]["Fn::Sub"]
    properties = find_only("data", "AWS::ElastiCache::ParameterGroup")["Properties"]
    assert properties == {"cluster-enabled": "yes", "maxmemory-policy": "allkeys-lru"}


def test_bucket_is_private_encrypted_and_deletes_unfinished_uploads() -> None:
    bucket = find_only("storage", "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    rules = {one["Id"]: one for one in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["aborted"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert (rules["uploads"]["Prefix"], rules["uploads"]["NoncurrentVersionExpiration"]) == (
        "uploads/",
        {"NoncurrentDays": 1},
    )
    (rule,) = bucket["CorsConfiguration"]["CorsRules"]
    assert "POST" in rule["AllowedMethods"]


def test_alarms_on_the_data_notify_and_have_a_description() -> None:
    alarms = [one["Properties"] for one in find_resources(TEMPLATES["alarms"], "AWS::CloudWatch::Alarm").values()]
    metrics = {one["MetricName"] for one in alarms}
    assert {"CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "Evictions"} <= metrics
    assert all(one["AlarmActions"] == one["OKActions"] == [{"Ref": "Alarms"}] for one in alarms)
    assert [one for one in alarms if len(one["AlarmDescription"]) < 20] == []


@pytest.mark.parametrize("stack", TEMPLATES)
def test_resources_with_data_are_retained(stack: str) -> None:
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
