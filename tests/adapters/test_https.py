"""Client certificates. test_wechat_pay_tls.py tests them with a server that requires one."""

import pytest

from chalicelib.adapters import https
from devstack.fakes import wechat_pay_keys


def test_certificate_without_its_key_is_rejected() -> None:
    certificate = wechat_pay_keys.get_certificate_pem("merchant")
    for wrong in (certificate, certificate + wechat_pay_keys.get_private_pem("other"), "none"):
        with pytest.raises(ValueError, match="not a certificate"):
            https.send_request("GET", "https://localhost:9/", {}, timeout=5, certificate=wrong)
