"""What every function gets: the private network, and where its database, cache and bucket are."""

from typing import Any

from chalice.utils import to_cfn_resource_name

Json = dict[str, Any]

API_HANDLER = "APIHandler"  # Chalice's name for the function that serves the group riding on its API handler
MIGRATE = "Migrate"
OUTBOX, EXTERNAL_OUTBOX = "run_outbox", "run_outbox_external"
SMS_FUNCTIONS = ("accounts", EXTERNAL_OUTBOX)  # who promises codes, and who sends them
STAGE = "api"  # api_gateway_stage: by reference, functions would wait for the stage, which waits for them
WEBSOCKET_HOST = "${WebsocketAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}"


def get_group_resource(group: str, core: str) -> str:
    """Return the name of the resource that serves the group; `core` is the one on Chalice's API handler."""
    return API_HANDLER if group == core else get_resource_name(group)


def get_resource_name(function: str) -> str:
    """Return what Chalice calls the resource of a function."""
    return str(to_cfn_resource_name(function))


def build_group_function(group: str) -> Json:
    """The function of a group. It waits for the migration, see infra/migration.py.

    GROUP cannot stand in config.json: Chalice imports the app with the API handler's variables set, and would see
    the routes of that one group.
    """
    variables = {
        **_build_worker_variables(group),
        **(_build_sms_variables() if group in SMS_FUNCTIONS else {}),
        "GROUP": group,
        "DATABASE_URL": _build_database_url(),
        "REDIS_URL": _build_redis_url(),
        "S3_BUCKET": import_value("Bucket"),
        # By the API's own host name, whatever name clients know it by.
        "WS_ENDPOINT_URL": {"Fn::Sub": f"https://{WEBSOCKET_HOST}/{STAGE}"},
        # WeChat Pay's notices come there: without a name of its own the API does not know its address.
        "PUBLIC_URL": {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, ""]},
        "DATA_KEYS": _build_data_keys(),
        "TRUSTED_PROXIES": {"Ref": "TrustedProxies"},
    }
    return {"DependsOn": "Migrated", "Properties": _build_network_properties(variables)}


def build_job_function(job: str, pattern: Json) -> Json:
    """The function of a job, of no group. Of all the account's S3 events it is given those of our bucket."""
    worker = build_group_function(job)
    if pattern.get("source") == ["aws.s3"]:
        ours = {"detail": {"bucket": {"name": [import_value("Bucket")]}}}
        worker["Properties"]["Events"] = {f"{get_resource_name(job)}Event": {"Properties": {"Pattern": ours}}}
    return worker


def build_migrate_function() -> Json:
    """The function that migrates: of no group, without cache and bucket."""
    return {"Properties": _build_network_properties({"GROUP": "migrate", "DATABASE_URL": _build_database_url()})}


def build_invoke_permission(name: str) -> Json:
    """Let our API, and no other, call the function."""
    api = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${RestAPI}/*"
    return {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "FunctionName": {"Ref": name},
            "Action": "lambda:InvokeFunction",
            "Principal": "apigateway.amazonaws.com",
            "SourceArn": {"Fn::Sub": api},
        },
    }


def import_value(name: str) -> Json:
    """A value that a stack of infra/*.yaml exports."""
    return {"Fn::ImportValue": {"Fn::Sub": f"${{Environment}}-{name}"}}


def _build_network_properties(variables: Json) -> Json:
    always = {"TLS_CA": {"Ref": "CertificateAuthorities"}, "SECRETS_VERSION": {"Ref": "SecretsVersion"}}
    return {
        "Environment": {"Variables": {**variables, **always}},
        "VpcConfig": {
            "SubnetIds": [import_value("FunctionSubnetA"), import_value("FunctionSubnetB")],
            "SecurityGroupIds": [import_value("FunctionGroup")],
        },
    }


def _build_worker_variables(group: str) -> Json:
    """Whom it tells to begin. Of the two themselves only the one tells the other: else it would be a circle."""
    lanes = {"OUTBOX_FUNCTION": OUTBOX, "EXTERNAL_OUTBOX_FUNCTION": EXTERNAL_OUTBOX}
    told = {OUTBOX: [EXTERNAL_OUTBOX], EXTERNAL_OUTBOX: []}.get(group, [OUTBOX, EXTERNAL_OUTBOX])
    return {variable: {"Ref": get_resource_name(function)} for variable, function in lanes.items() if function in told}


# CloudFormation reads the secrets while it deploys. They are letters and digits only, so nothing needs quoting.
def _build_database_url() -> Json:
    url = "mysql://zhenxun:{{resolve:secretsmanager:${Secret}:SecretString:password}}@${Host}:3306/zhenxun?tls=1"
    return {"Fn::Sub": [url, {"Secret": import_value("DatabaseSecret"), "Host": import_value("DatabaseHost")}]}


def _build_redis_url() -> Json:
    url = "rediss://:{{resolve:secretsmanager:${Secret}:SecretString:password}}@${Host}:6379/0"
    return {"Fn::Sub": [url, {"Secret": import_value("CacheSecret"), "Host": import_value("CacheHost")}]}


def _build_data_keys() -> Json:
    """Wrapped by KMS: only a function that may decrypt with the data key can use them."""
    return {
        "Fn::Sub": [
            "{{resolve:secretsmanager:${Secret}:SecretString:keys}}",
            {"Secret": import_value("DataKeysSecret")},
        ]
    }


def _build_sms_variables() -> Json:
    secret = {"Secret": import_value("SmsSecret")}
    place = "{{{{resolve:secretsmanager:${{Secret}}:SecretString:{}}}}}"
    return {
        "SMS_PROVIDER": {"Ref": "SmsProvider"},
        "SMS_APP_ID": {"Ref": "SmsAppId"},
        "SMS_SIGN": {"Ref": "SmsSign"},
        "SMS_TEMPLATE": {"Ref": "SmsTemplate"},
        **{f"SMS_{name.upper()}": {"Fn::Sub": [place.format(name), secret]} for name in ("key_id", "key_secret")},
    }
