import pytest

from tests.gateway.talk import Visitor, join, last_30, made, sent, visitor
from tests.messaging.conftest import mysql_reads
from tests.people import Hospital

__all__ = ["guo", "han", "mysql_reads"]


@pytest.fixture
def guo(hospital: Hospital) -> Visitor:
    """A user of the hospital's own system."""
    return visitor(hospital, "guo-7f1a")


@pytest.fixture
def han(hospital: Hospital) -> Visitor:
    return visitor(hospital, "han-22c9")


@pytest.fixture
def conversation(guo: Visitor, han: Visitor) -> str:
    """Guo and Han are in it, have spoken and have read; Redis holds both seats."""
    conversation = made(guo)
    join(han, conversation)
    sent(guo, conversation, "一")
    sent(han, conversation, "二")
    for who in (guo, han, guo, han):
        last_30(who, conversation)
    return conversation
