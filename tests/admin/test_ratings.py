"""rating_list: patients' ratings of messages."""

import pytest

from tests.support import factories
from tests.support.admin_client import list_all, list_pages, read_list
from tests.support.factories import Hospital
from tests.support.helpdesk_client import call_messagecenter, send_all

pytestmark = pytest.mark.store


@pytest.fixture
def rated(hospital: Hospital) -> list[str]:
    """Three messages of a doctor, each rated by the patient; return their ids."""
    factories.let_treat(hospital.chen, hospital.lin)
    sent = send_all(hospital.chen, hospital.lin, "一", "二", "三")
    for message_id, appraise in zip(sent, (1, -1, 1), strict=True):
        response = call_messagecenter(hospital.lin, "appraiseMessage", messageId=message_id, appraise=appraise)
        assert response.status == 200
    return list(sent)


def test_ratings_are_listed_newest_first(hospital: Hospital, rated: list[str]) -> None:
    listed = list_all(hospital.admin, "rating_list")
    assert [(one["msg_id"], one["rating"]) for one in listed] == [*zip(reversed(rated), (1, -1, 1), strict=True)]
    assert {(one["user_id"], one["sender_id"], one["sender_name"]) for one in listed} == {
        (str(hospital.lin.user_id), str(hospital.chen.user_id), "陈医生")
    }
    pages = list_pages(hospital.admin, "rating_list", 2)
    assert [len(page) for page in pages] == [2, 1]
    assert [one for page in pages for one in page] == listed


@pytest.mark.usefixtures("rated")
def test_filters_and_who_may_not_read_them(hospital: Hospital, other_hospital: Hospital) -> None:
    assert len(list_all(hospital.admin, "rating_list", user_id=hospital.lin.user_id)) == 3
    assert list_all(hospital.admin, "rating_list", user_id=hospital.wang.user_id) == []
    assert list_all(hospital.admin, "rating_list", to_date="2020-01-01") == []
    assert list_all(other_hospital.admin, "rating_list") == []
    for person in (hospital.lin, hospital.chen, hospital.desk):
        assert read_list(person, "rating_list").status == 403
    for name in ("user_id", "from_date", "before", "page_size"):
        assert read_list(hospital.admin, "rating_list", **{name: "-1"}).error.startswith(f"{name}：")
