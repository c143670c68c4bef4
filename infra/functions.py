"""Settings of the Lambda functions: private network, addresses of database, cache and bucket, secrets."""

from typing import Any

from chalice.utils import to_cfn_resource_name

Json = dict[str, Any]

API_HANDLER = "APIHandler"  # Chalice's name of the function that serves API_HANDLER_GROUP
MIGRATE = "Migrate"
LONG_POLLS = "notify"  # the group whose requests wait for events
OUTBOX, EXTERNAL_OUTBOX = "run_outbox", "run_outbox_external"
SMS_FUNCTIONS = ("accounts", EXTERNAL_OUTBOX)  # the functions that request codes and that send them
CAPTCHA_FUNCTION = "accounts"
SIGN_IN_FUNCTIONS = ("accounts", "staff")  # the functions that check passwords
STAGE = "api"  # api_gateway_stage; a reference would be a circular dependency of functions and stage
WEBSOCKET_HOST = "${WebsocketAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}"


def get_group_resource(group: str, api_handler_group: str) -> str:
    """Return the resource name of the function that serves a group.

    Args:
        api_handler_group: the group that Chalice's API handler serves.
    """
    return API_HANDLER if group == api_handler_group else get_resource_name(group)


def get_resource_name(function: str) -> str:
    """Return the resource name that Chalice gives a function."""
    return str(to_cfn_resource_name(function))


def build_group_function(group: str) -> Json:
    """Build the overlay of a group's function. It depends on the migration, see infra/migration.py.

    GROUP is not set in config.json, because Chalice imports the app with the variables of the API handler and would see
    only the routes of that group.
    """
    variables = {
        **_build_worker_variables(group),
        **(_build_sms_variables() if group in SMS_FUNCTIONS else {}),
        **(_build_captcha_variables() if group == CAPTCHA_FUNCTION else {}),
        "GROUP": group,
        "DATABASE_URL": _build_database_url(),
        "REDIS_URL": _build_redis_url(),
        "S3_BUCKET": import_value("Bucket"),
        # The default host name of the API, which works with and without a custom domain.
        "WS_ENDPOINT_URL": {"Fn::Sub": f"https://{WEBSOCKET_HOST}/{STAGE}"},
        # WeChat Pay sends payment notifications there. Without a custom domain the address is unknown.
        "PUBLIC_URL": {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, ""]},
        "DATA_KEYS": _build_data_keys(),
        "TRUSTED_PROXIES": {"Ref": "TrustedProxies"},
    }
    return {"DependsOn": "Migrated", "Properties": _build_network_properties(variables)}


def build_job_function(job: str, pattern: Json) -> Json:
    """Build the overlay of a job's function, which serves no group. S3 events are filtered to our bucket."""
    function = build_group_function(job)
    if pattern.get("source") == ["aws.s3"]:
        bucket = {"detail": {"bucket": {"name": [import_value("Bucket")]}}}
        function["Properties"]["Events"] = {f"{get_resource_name(job)}Event": {"Properties": {"Pattern": bucket}}}
    return function


def build_migrate_function() -> Json:
    """Build the overlay of the function that migrates and creates hospitals. It uses neither cache nor bucket."""
    variables = {"GROUP": "migrate", "DATABASE_URL": _build_database_url(), "DATA_KEYS": _build_data_keys()}
    return {"Properties": _build_network_properties(variables)}


def build_invoke_permission(name: str) -> Json:
    """Allow only our REST API to invoke the function."""
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
    """Return a reference to a value that a stack of infra/*.yaml exports."""
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
    """Name the outbox workers that a function wakes.

    The worker of the internal queue wakes only that of the external one, which wakes neither: otherwise the functions
    would depend on each other.
    """
    workers = {"OUTBOX_FUNCTION": OUTBOX, "EXTERNAL_OUTBOX_FUNCTION": EXTERNAL_OUTBOX}
    woken = {OUTBOX: [EXTERNAL_OUTBOX], EXTERNAL_OUTBOX: []}.get(group, [OUTBOX, EXTERNAL_OUTBOX])
    return {name: {"Ref": get_resource_name(worker)} for name, worker in workers.items() if worker in woken}


# CloudFormation resolves the secrets during the deployment. They consist of letters and digits and need no quoting.
def _build_database_url() -> Json:
    url = "mysql://zhenxun:{{resolve:secretsmanager:${Secret}:SecretString:password}}@${Host}:3306/zhenxun?tls=1"
    return {"Fn::Sub": [url, {"Secret": import_value("DatabaseSecret"), "Host": import_value("DatabaseHost")}]}


def _build_redis_url() -> Json:
    url = "rediss://:{{resolve:secretsmanager:${Secret}:SecretString:password}}@${Host}:6379/0"
    return {"Fn::Sub": [url, {"Secret": import_value("CacheSecret"), "Host": import_value("CacheHost")}]}


def _build_data_keys() -> Json:
    """Return the data keys, encrypted by KMS: only functions with kms:Decrypt can use them."""
    return {
        "Fn::Sub": [
            "{{resolve:secretsmanager:${Secret}:SecretString:keys}}",
            {"Secret": import_value("DataKeysSecret")},
        ]
    }


def _build_captcha_variables() -> Json:
    return {
        "CAPTCHA_APP_ID": {"Ref": "CaptchaAppId"},
        **_build_secret_variables("CAPTCHA", "CaptchaSecret", ("key_id", "key_secret", "app_secret")),
    }


def _build_sms_variables() -> Json:
    return {
        "SMS_PROVIDER": {"Ref": "SmsProvider"},
        "SMS_APP_ID": {"Ref": "SmsAppId"},
        "SMS_SIGN": {"Ref": "SmsSign"},
        "SMS_TEMPLATE": {"Ref": "SmsTemplate"},
        "SMS_NOTICE_TEMPLATE": {"Ref": "SmsNoticeTemplate"},
        **_build_secret_variables("SMS", "SmsSecret", ("key_id", "key_secret")),
    }


def _build_secret_variables(prefix: str, export: str, names: tuple[str, ...]) -> Json:
    """Return a variable for each part of a secret."""
    secret, reference = {"Secret": import_value(export)}, "{{{{resolve:secretsmanager:${{Secret}}:SecretString:{}}}}}"
    return {f"{prefix}_{name.upper()}": {"Fn::Sub": [reference.format(name), secret]} for name in names}
