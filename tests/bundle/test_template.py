"""The template of the bundle."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from samtranslator.translator.arn_generator import ArnGenerator
from samtranslator.translator.transform import transform

from chalicelib.adapters import sms
from tests.bundle.conftest import Package
from tests.support.cloudformation import (
    REGIONS,
    STACKS,
    Template,
    find_functions,
    find_operations,
    find_resources,
    iter_strings,
    read_stack,
    resolve,
)

RESOURCES_OF_AN_API = 300  # API Gateway's quota
SERVICES = {f"{name}.amazonaws.com" for name in ("apigateway", "events", "lambda")}  # principals, also in China


def run_lint(*paths: Path) -> str:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", *REGIONS, "--template", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True).stdout


def expand(package: Package, region: str, monkeypatch: pytest.MonkeyPatch) -> Template:
    """The template after CloudFormation's serverless transform."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setattr(ArnGenerator, "BOTO_SESSION_REGION_NAME", None)
    template = json.loads(package.sam.read_text("utf-8"))
    for properties in find_functions(template).values():
        properties["CodeUri"] = "s3://packages/deployment.zip"  # as `aws cloudformation package` sets it
    policies = type("Policies", (), {"load": lambda _: {}})()
    return dict(transform(template, {}, policies))


def test_cfn_lint_reports_nothing(package: Package) -> None:
    assert run_lint(package.sam, *STACKS) == ""


def test_sms_providers_are_the_implemented_ones(package: Package) -> None:
    allowed = package.template["Parameters"]["SmsProvider"]["AllowedValues"]
    assert set(allowed) == {"", *sms.PROVIDERS} - {"file"}, "which is a developer's"


@pytest.mark.parametrize("region", REGIONS)
def test_transform_creates_one_api_with_one_stage(
    package: Package, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = expand(package, region, monkeypatch)
    (api,) = find_resources(template, "AWS::ApiGateway::RestApi").values()
    (name,) = find_resources(template, "AWS::ApiGateway::Stage")
    assert template["Resources"][name]["Properties"]["StageName"] == "api"
    assert "Stage" not in str(find_resources(template, "AWS::ApiGateway::Deployment"))
    assert set(api["Properties"]["Body"]["paths"]) == {path for path, _ in find_operations(package.template)}
    assert template["Resources"]["ApiDomainMapping"]["Properties"]["Stage"] == {"Ref": name}
    runs = {one["Properties"]["Runtime"] for one in find_resources(template, "AWS::Lambda::Function").values()}
    assert runs == {f"python{sys.version_info[0]}.{sys.version_info[1]}"}


@pytest.mark.parametrize("region", REGIONS)
def test_hosts_and_arns_are_of_the_partition(package: Package, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    partition, suffix = REGIONS[region]
    for template in [expand(package, region, monkeypatch), *map(read_stack, STACKS)]:
        texts = list(iter_strings(resolve({**template, "Parameters": None}, template, region)))
        arns = [arn for text in texts for arn in re.findall(r"arn:[^:]*:", text)]
        assert set(arns) <= {f"arn:{partition}:"}
        hosts = {host for text in texts for host in re.findall(r"[\w.-]*amazonaws\.com[\w.]*", text)}
        assert [host for host in hosts - SERVICES if not host.endswith(f".{suffix}")] == []


def test_binary_bodies_do_not_depend_on_the_accept_header(package: Package) -> None:
    body = package.template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    assert body["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    for (_, method), one in find_operations(package.template).items():
        if method == "OPTIONS":  # otherwise API Gateway treats its empty response as bytes and fails
            assert one["x-amazon-apigateway-integration"]["contentHandling"] == "CONVERT_TO_TEXT"


def test_api_stays_below_its_quota(package: Package) -> None:
    parts = [path.strip("/").split("/") for path, _ in find_operations(package.template)]
    tree = {"/".join(path[:depth]) for path in parts for depth in range(len(path) + 1)}
    assert len(tree) <= RESOURCES_OF_AN_API


def test_package_contains_no_secret_host_or_account(package: Package) -> None:
    for properties in find_functions(package.template).values():
        url = resolve(properties["Environment"]["Variables"]["DATABASE_URL"], package.template)
        assert re.fullmatch(r"mysql://zhenxun:\{\{resolve:secretsmanager:[\w:-]+\}\}@[\w-]+:3306/zhenxun\?tls=1", url)
    text = package.sam.read_text("utf-8") + "".join(path.read_text("utf-8") for path in STACKS)
    assert re.findall(r"(?<![\w.])\d{12}(?!\w)|\bAKIA\w+|\b(?:subnet|sg|vpc)-[0-9a-f]{8,}\b", text) == []


def test_logs_are_retained_for_six_months_without_query_strings(package: Package) -> None:
    logs = find_resources(package.template, "AWS::Logs::LogGroup")
    assert {one["Properties"]["RetentionInDays"] for one in logs.values()} == {180}
    names = [one["Properties"]["LogGroupName"]["Fn::Sub"] for one in logs.values()]
    expected = {f"/aws/lambda/${{{name}}}" for name in [*find_functions(package.template), "Migrator"]}
    assert set(names) == {*expected, "/aws/apigateway/${AWS::StackName}", "/aws/apigateway/${AWS::StackName}-websocket"}
    api = package.template["Resources"]["RestAPI"]["Properties"]
    assert re.search(r"querystring|\.path\b|header|body", api["AccessLogSetting"]["Format"].lower()) is None
    stage = package.template["Resources"]["WebsocketAPIStage"]["Properties"]
    assert re.search(r"querystring|\.path\b|header|body", stage["AccessLogSettings"]["Format"].lower()) is None
    for settings in [*api["MethodSettings"], stage["DefaultRouteSettings"]]:
        assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("OFF", False)
