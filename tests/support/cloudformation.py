"""Read CloudFormation templates and resolve the intrinsic functions that ours use."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml

ROOT = Path(__file__).parents[2]
STACKS = sorted((ROOT / "infra").glob("*.yaml"))
REGIONS = {"cn-northwest-1": ("aws-cn", "amazonaws.com.cn"), "us-east-1": ("aws", "amazonaws.com")}

Template = dict[str, Any]


def read_stack(stack: Path) -> Template:
    """Return a template of infra/ with its short tags (!Ref) expanded."""
    return dict(cfn_yaml.load(str(stack)))


def find_resources(template: Template, kind: str) -> Template:
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def find_functions(template: Template) -> Template:
    """Return the Lambda functions of the bundle by resource name."""
    return {name: one["Properties"] for name, one in find_resources(template, "AWS::Serverless::Function").items()}


def find_operations(template: Template) -> dict[tuple[str, str], Template]:
    """Return API Gateway's operations by (path, METHOD)."""
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    return {(path, method.upper()): one for path, methods in paths.items() for method, one in methods.items()}


def find_target_function(operation: Template) -> str:
    """Return the function that an operation invokes, "" if none."""
    uri = operation["x-amazon-apigateway-integration"].get("uri", {}).get("Fn::Sub", "")
    match = re.search(r"/functions/\$\{(\w+)\.Arn\}/invocations$", uri)
    return match[1] if match else ""


def resolve(part: Any, template: Template, region: str = "cn-northwest-1") -> Any:
    """Return a part with references, substitutions and imports replaced by plausible values for the region."""
    if isinstance(part, list):
        return [resolve(one, template, region) for one in part]
    if not isinstance(part, dict):
        return part
    if len(part) == 1:
        name, value = next(iter(part.items()))
        if name == "Ref":
            return _resolve_reference(value, template, region)
        if name == "Fn::GetAtt":
            return _resolve_attribute(value, region)
        if name == "Fn::ImportValue":
            return "exported-" + str(resolve(value, template, region)).rpartition("-")[2].lower()
        if name == "Fn::If":  # as if the condition were true
            return resolve(value[1], template, region)
        if name == "Fn::Sub":
            return _resolve_substitution(value, template, region)
    return {key: resolve(value, template, region) for key, value in part.items()}


def iter_strings(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from iter_strings(one)


def iter_imports(part: Any) -> Iterator[str]:
    """Yield the names of imported values, without the environment's prefix."""
    if isinstance(part, dict):
        if "Fn::ImportValue" in part:
            yield part["Fn::ImportValue"]["Fn::Sub"].removeprefix("${Environment}-")
        for one in part.values():
            yield from iter_imports(one)
    for one in part if isinstance(part, list) else ():
        yield from iter_imports(one)


def _resolve_reference(name: str, template: Template, region: str) -> str:
    partition, suffix = REGIONS[region]
    pseudo = {"Partition": partition, "Region": region, "URLSuffix": suffix, "AccountId": "1", "StackName": "stack"}
    if name.startswith("AWS::"):
        return pseudo[name.removeprefix("AWS::")]
    return str(template.get("Parameters", {}).get(name, {}).get("Default", name.lower()))


def _resolve_attribute(value: list[str] | str, region: str) -> str:
    name, attribute = value if isinstance(value, list) else value.split(".", 1)
    partition, suffix = REGIONS[region]
    return f"arn:{partition}:of:{region}:1:{name}" if attribute == "Arn" else f"{name.lower()}.{suffix}"


def _resolve_substitution(value: list[Any] | str, template: Template, region: str) -> str:
    text, own = value if isinstance(value, list) else (value, {})

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name in own:
            return str(resolve(own[name], template, region))
        return _resolve_attribute(name, region) if "." in name else _resolve_reference(name, template, region)

    return re.sub(r"\$\{([\w:.]+)\}", one, text)
