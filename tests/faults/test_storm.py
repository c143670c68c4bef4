"""A storm: every kind of process is killed again and again while many senders and readers use several servers."""

from pathlib import Path

from devstack.services.control import Control
from tests.support.factories import Hospital
from tests.support.storm.storm_run import run_storm


def test_storm_loses_duplicates_and_reorders_nothing(control: Control, hospital: Hospital, tmp_path: Path) -> None:
    storm = run_storm(control, hospital, tmp_path, seconds=15, senders=32, flush_interval=3)
    assert storm.find_problems() == [], storm.format_figures()
    assert storm.retry_count, storm.format_figures()
    assert storm.faults["flush"]
