"""What says who calls a server that asks for it by TLS; test_wechat_pay_tls.py has one that does."""

import pytest

from chalicelib.adapters import https
from devstack.fakes import wechat_pay_keys


def test_a_certificate_without_its_key_is_none() -> None:
    certificate = wechat_pay_keys.get_certificate_pem("merchant")
    for wrong in (certificate, certificate + wechat_pay_keys.get_private_pem("somebody"), "none"):
        with pytest.raises(ValueError, match="not a certificate"):
            https.send_request("GET", "https://localhost:9/", {}, timeout=5, certificate=wrong)
