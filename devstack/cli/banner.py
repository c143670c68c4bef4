"""The text that bin/dev prints when it is ready: the demo accounts and three commands to paste."""

import json
from typing import Any

from devstack.paths import LOCAL

CHAT_COMMANDS = """A patient sends a message to a doctor; the doctor reads it and replies:

curl -s -w '\\n' -H 'token: {patient}' -H 'Content-Type: application/json' \\
  -d '{{"member_id":"{member}","doctor_id":"{doctor}","message":"医生您好，我咳嗽三天了"}}' \\
  {base}/msg_service/msg/patient/send_text_msg

curl -s -w '\\n' -H 'token: {doctor_token}' \\
  '{base}/msg_service/msg/doctor/msg_list?session_no={session}&page_size=10'

curl -s -w '\\n' -H 'token: {doctor_token}' -H 'Content-Type: application/json' \\
  -d '{{"session_no":"{session}","message":"您好，有发热吗？"}}' \\
  {base}/msg_service/msg/doctor/send_text_msg
"""


OUTPUT_TEXT = """What would leave this machine appears below, as it is sent:

  SMS 13800000001 042917                a verification code
  WeChat to OPENID: …                   a template message, to users who have bound an openid
  WeChat Pay order NUMBER: …            an order, with the command that pays it; then its payment and refund

A page receives live events (pushes) at /notify. To wait for those of the first patient, for at most 20 s:

curl -s -w '\\n' '{base}/notify?protoc=poll&limit=20&events=1&token={patient}'
"""


def format_banner() -> str:
    """Return the text, from .local/demo.json."""
    demo = json.loads((LOCAL / "demo.json").read_text("utf-8"))
    accounts = "\n".join(format_account(kind, one) for kind in ("patients", "doctors", "staff") for one in demo[kind])
    base = demo["base_url"]
    title = f"诊讯  {base}   API documentation: {base}/docs   Ctrl-C stops everything"
    output = OUTPUT_TEXT.format(patient=demo["patients"][0]["token"], base=base)
    return f"{title}\n\n{accounts}\n\n{format_chat_commands(demo)}\n{output}"


def find_base_url() -> str:
    """Return the URL at which the demo data was last served, or '' if there is none."""
    try:
        return str(json.loads((LOCAL / "demo.json").read_text("utf-8"))["base_url"])
    except (OSError, ValueError, KeyError):
        return ""


def format_account(kind: str, account: dict[str, Any]) -> str:
    """Return a line with an account's role, phone, password, valid token and name."""
    role = account.get("role") or kind.removesuffix("s")
    name = account.get("name") or "、".join(member["name"] for member in account.get("members", []))
    return f"  {role:<14}{account['phone']}  {account['password']}  token {account['token']}  {name}"


def format_chat_commands(demo: dict[str, Any]) -> str:
    """Return the three commands of a chat."""
    patient, doctor = demo["patients"][0], demo["doctors"][0]
    return CHAT_COMMANDS.format(
        base=demo["base_url"],
        patient=patient["token"],
        member=patient["members"][0]["member_id"],
        doctor=doctor["doctor_id"],
        doctor_token=doctor["token"],
        session=demo["session_no"],
    )


def format_service_urls(env: dict[str, str]) -> str:
    """Return the text of bin/dev --services: the URLs of the services, and how to start Chalice beside them."""
    urls = "\n".join(f"  {name}={env[name]}" for name in ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL"))
    return f"\n{urls}\n\nIn another terminal:  bin/chalice local --port 8018\nCtrl-C stops everything."
