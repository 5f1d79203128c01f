"""Bad inputs: the manual's page has the message of each, as the code says it now."""

import re
import tempfile

import pytest

from support.bad_inputs import PAGE, collect_messages, format_page
from support.data import REPOSITORY

FOREIGN = "A config that Snakemake cannot read"
"""The title of the messages that are Snakemake's."""

Messages = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def messages() -> Messages:
    """The title, what is wrong, and the message of every case."""
    return list(collect_messages())


def test_the_page_has_every_message_as_the_code_says_it(messages: Messages) -> None:
    """`PYTHONPATH=.:tests python -m support.bad_inputs` writes the page again."""
    assert PAGE.read_text("utf-8") == format_page(messages)


def test_there_are_many_bad_inputs_and_each_has_one_row(messages: Messages) -> None:
    assert len(messages) >= 300
    rows = [(title, what) for title, what, _ in messages]
    assert len(set(rows)) == len(rows)


def test_no_message_is_a_raw_text_of_a_library(messages: Messages) -> None:
    """Neither a traceback nor an exception's name, a number of an error, or an absolute path."""
    paths = "|".join(re.escape(f"{folder}/") for folder in (REPOSITORY, tempfile.gettempdir()))
    raw = re.compile(rf"Traceback|Errno|\w+Error\b|Exception\b|<class|object at 0x|{paths}")
    assert not [
        message for title, _, message in messages if title != FOREIGN and raw.search(message)
    ]


def test_a_message_is_one_line_per_mistake_and_says_what_to_do(messages: Messages) -> None:
    remedy = re.compile(
        r"; |\?|is not one of|write a list: |as in |choose one of |expected |from \d|multiple"
    )
    for message in (message for title, _, message in messages if title != FOREIGN):
        for line in message.split("\n"):
            assert len(line) < 2_000
            assert remedy.search(line), line
