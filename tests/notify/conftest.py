from tests.gateway.conftest import guo, han

__all__ = ["guo", "han"]
