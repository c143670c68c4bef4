"""Requests and responses about jobs that have failed for good."""

from pydantic import Field

from chalicelib.admin.booking_models import EXAMPLE_TIME
from chalicelib.http.fields import Id, IdText, Reason, WireModel
from chalicelib.http.pagination import ListQuery
from chalicelib.outbox.jobs import Job


class FailedJobListQuery(ListQuery):
    """Filters of the list of failed jobs. The days are those on which they failed for the last time."""

    job: Job | None = Field(None, description="任务；空：全部", examples=[""])


class FailedJob(WireModel):
    """A job that has failed for half a day and is not run again."""

    outbox_id: IdText = Field(title="任务编号", examples=["31"])
    job: str = Field(title="任务", examples=["notify_booking"])
    attempts: int = Field(title="次数", examples=[21])
    error: str = Field(title="最后的错误", description="类型和错误码", examples=["errors.ApiError 503"])
    create_time: str = Field(title="创建时间", examples=[EXAMPLE_TIME])
    fail_time: str = Field(title="失败时间", examples=[EXAMPLE_TIME])


class RetryJobRequest(WireModel):
    """The failed job to run again."""

    outbox_id: Id = Field(description="任务编号", examples=["31"])


class DropJobRequest(RetryJobRequest):
    """The failed job that is not to be run any more, and why."""

    reason: Reason = Field(description="放弃的原因，记入操作日志", examples=["已人工通知患者"])
