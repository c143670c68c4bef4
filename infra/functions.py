"""What every function gets: the private network, and where its database, cache and bucket are."""

from typing import Any

from chalice.utils import to_cfn_resource_name

Json = dict[str, Any]

API_HANDLER = "APIHandler"  # Chalice's name for the function that serves the group riding on its API handler
MIGRATE = "Migrate"
OUTBOX, OUTSIDE = "run_outbox", "run_outbox_outside"
SMS = ("accounts", OUTSIDE)  # who promises codes, and who sends them
STAGE = "api"  # api_gateway_stage: by reference, functions would wait for the stage, which waits for them
SOCKETS_HOST = "${WebsocketAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}"


def of_group(group: str, core: str) -> str:
    """Return the name of the resource that serves the group; `core` is the one on Chalice's API handler."""
    return API_HANDLER if group == core else named(group)


def named(function: str) -> str:
    """Return what Chalice calls the resource of a function."""
    return str(to_cfn_resource_name(function))


def serving(group: str) -> Json:
    """The function of a group. It waits for the migration, see infra/migration.py.

    GROUP cannot stand in config.json: Chalice imports the app with the API handler's variables set, and would see
    the routes of that one group.
    """
    variables = {
        **_nudged(group),
        **(_sms() if group in SMS else {}),
        "GROUP": group,
        "DATABASE_URL": _database_url(),
        "REDIS_URL": _redis_url(),
        "S3_BUCKET": exported("Bucket"),
        # By the API's own host name, whatever name clients know it by.
        "WS_ENDPOINT_URL": {"Fn::Sub": f"https://{SOCKETS_HOST}/{STAGE}"},
        # WeChat Pay's notices come there: without a name of its own the API does not know its address.
        "PUBLIC_URL": {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, ""]},
        "DATA_KEYS": _data_keys(),
        "TRUSTED_PROXIES": {"Ref": "TrustedProxies"},
    }
    return {"DependsOn": "Migrated", "Properties": _connected(variables)}


def working(job: str, pattern: Json) -> Json:
    """The function of a job, of no group. Of all the account's S3 events it is given those of our bucket."""
    worker = serving(job)
    if pattern.get("source") == ["aws.s3"]:
        ours = {"detail": {"bucket": {"name": [exported("Bucket")]}}}
        worker["Properties"]["Events"] = {f"{named(job)}Event": {"Properties": {"Pattern": ours}}}
    return worker


def migrating() -> Json:
    """The function that migrates: of no group, without cache and bucket."""
    return {"Properties": _connected({"GROUP": "migrate", "DATABASE_URL": _database_url()})}


def permission(name: str) -> Json:
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


def exported(name: str) -> Json:
    """A value that a stack of infra/*.yaml exports."""
    return {"Fn::ImportValue": {"Fn::Sub": f"${{Environment}}-{name}"}}


def _connected(variables: Json) -> Json:
    always = {"TLS_CA": {"Ref": "CertificateAuthorities"}, "SECRETS_VERSION": {"Ref": "SecretsVersion"}}
    return {
        "Environment": {"Variables": {**variables, **always}},
        "VpcConfig": {
            "SubnetIds": [exported("FunctionSubnetA"), exported("FunctionSubnetB")],
            "SecurityGroupIds": [exported("FunctionGroup")],
        },
    }


def _nudged(group: str) -> Json:
    """Whom it tells to begin. Of the two themselves only the one tells the other: else it would be a circle."""
    lanes = {"OUTBOX_FUNCTION": OUTBOX, "OUTSIDE_FUNCTION": OUTSIDE}
    told = {OUTBOX: [OUTSIDE], OUTSIDE: []}.get(group, [OUTBOX, OUTSIDE])
    return {variable: {"Ref": named(function)} for variable, function in lanes.items() if function in told}


# CloudFormation reads the secrets while it deploys. They are letters and digits only, so nothing needs quoting.
def _database_url() -> Json:
    url = "mysql://zhenxun:{{resolve:secretsmanager:${Secret}:SecretString:password}}@${Host}:3306/zhenxun?tls=1"
    return {"Fn::Sub": [url, {"Secret": exported("DatabaseSecret"), "Host": exported("DatabaseHost")}]}


def _redis_url() -> Json:
    url = "rediss://:{{resolve:secretsmanager:${Secret}:SecretString:password}}@${Host}:6379/0"
    return {"Fn::Sub": [url, {"Secret": exported("CacheSecret"), "Host": exported("CacheHost")}]}


def _data_keys() -> Json:
    """Wrapped by KMS: only a function that may decrypt with the data key can use them."""
    return {
        "Fn::Sub": ["{{resolve:secretsmanager:${Secret}:SecretString:keys}}", {"Secret": exported("DataKeysSecret")}]
    }


def _sms() -> Json:
    secret = {"Secret": exported("SmsSecret")}
    place = "{{{{resolve:secretsmanager:${{Secret}}:SecretString:{}}}}}"
    return {
        "SMS_PROVIDER": {"Ref": "SmsProvider"},
        "SMS_APP_ID": {"Ref": "SmsAppId"},
        "SMS_SIGN": {"Ref": "SmsSign"},
        "SMS_TEMPLATE": {"Ref": "SmsTemplate"},
        **{f"SMS_{name.upper()}": {"Fn::Sub": [place.format(name), secret]} for name in ("key_id", "key_secret")},
    }
