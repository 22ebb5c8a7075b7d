"""Errors: what they say, what they carry, and that they survive the way between processes."""

import copy
import pickle

import pytest

from eventstore import (
    ANY,
    STREAM_EXISTS,
    DuplicateEvent,
    EventStoreError,
    InvalidArgument,
    InvalidEvent,
    StreamArchived,
    UnknownEventType,
    WrongExpectedVersion,
)


def test_wrong_expected_version_says_what_was_expected_and_what_was_there():
    error = WrongExpectedVersion("account-1", 3, 5)
    assert (error.stream_id, error.expected, error.actual) == ("account-1", 3, 5)
    assert str(error) == "Wrong expected version: 3 (stream: account-1, stream version: 5)"
    assert "STREAM_EXISTS" in str(WrongExpectedVersion("account-1", STREAM_EXISTS, 0))


@pytest.mark.parametrize("expected", [3, STREAM_EXISTS, ANY], ids=str)
def test_wrong_expected_version_survives_pickling(expected):
    error = WrongExpectedVersion("account-1", expected, 5)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is WrongExpectedVersion
    assert (back.stream_id, back.expected, back.actual) == ("account-1", expected, 5)
    assert str(back) == str(error)


@pytest.mark.parametrize("kind", [DuplicateEvent, StreamArchived])
@pytest.mark.parametrize("way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy], ids=["pickle", "copy"])
def test_what_names_a_stream_survives_pickling(way, kind):
    back = way(kind("account-1"))
    assert type(back) is kind
    assert str(back) == str(kind("account-1"))
    assert back.stream_id == "account-1"


@pytest.mark.parametrize("marker", [ANY, STREAM_EXISTS], ids=str)
def test_expected_versions_keep_their_identity_and_show_as_their_names(marker):
    assert pickle.loads(pickle.dumps(marker)) is marker
    assert copy.deepcopy(marker) is marker
    assert f"{marker}" == str(marker) == repr(marker) in ("ANY", "STREAM_EXISTS")


def test_errors_can_be_caught_as_what_python_calls_them():
    assert issubclass(InvalidEvent, InvalidArgument)
    assert issubclass(InvalidArgument, ValueError)
    assert issubclass(UnknownEventType, LookupError)
    assert not issubclass(EventStoreError, ValueError)
