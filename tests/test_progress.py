"""The lines that say how far a loop is."""

import logging

import pytest

from seqcov_models.progress import describe_progress, format_duration, progress


def test_durations_have_their_two_largest_units() -> None:
    cases = {
        0: "0 s", 59.6: "1 min", 3_599: "59 min 59 s", 3_600: "1 h", 86_399: "23 h 59 min",
        86_400: "1 d", 100 * 86_400 + 3_600: "100 d 1 h",
    }  # fmt: skip
    assert {seconds: format_duration(seconds) for seconds in cases} == cases


def test_progress_says_what_remains() -> None:
    assert describe_progress(10, 100, "windows", 0.001) == (
        "10 of 100 windows (10 %), 0.001 per second, 1 d 1 h left"
    )
    assert describe_progress(0, 100, "windows", 0) == "0 of 100 windows (0 %)"
    assert describe_progress(100, 100, "peaks", 50) == "100 of 100 peaks, 50 per second"


def test_a_short_loop_has_one_line_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "seqcov")
    with progress(1_200, "windows") as advance:
        for _ in range(12):
            advance(100)
    (line,) = caplog.messages
    assert line.startswith("1,200 of 1,200 windows, ")
