"""How a sentence names a cause or a near name."""

import pytest

from vbench import errors
from vbench.errors import last_location, last_reason, nearest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no reason"),
        ("\n  \n", "no reason"),
        ("unshare: failed: Operation not permitted\n", "unshare: failed: Operation not permitted"),
        ("Traceback:\n  File x\nValueError: 3 is odd\n\nSee the log.\n", "ValueError: 3 is odd"),
        ("it says: no Error here\nlast", "last"),
    ],
)
def test_the_reason_is_the_last_line_that_begins_with_an_error_or_the_last(text: str, reason: str) -> None:
    assert last_reason(text, "no reason") == reason


def test_the_line_is_the_last_one_that_is_the_users() -> None:
    text = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/ray/serve/_private/replica.py", line 900, in call
  File "/srv/app/graph.py", line 12, in __init__
  File "/srv/app/weights.py", line 3, in read
  File "/srv/venv/lib/python3.11/site-packages/torch/serialization.py", line 5, in load
  File "/usr/lib/python3.11/json/decoder.py", line 6, in decode
ValueError: no weights"""
    assert last_location(text) == " (weights.py, line 3)"
    assert last_location(text.replace("/srv/app/", "/srv/venv/lib/python3.11/site-packages/")) == ""
    assert last_location("ValueError: no traceback") == ""
    assert last_location(f'File "{errors.__file__}", line 3') == ""


def test_a_name_is_suggested_if_it_is_near_enough() -> None:
    options = ["oss", "anyscale"]

    assert nearest("anyscal", options) == "did you mean 'anyscale'? (there are: anyscale, oss)"
    assert nearest("single", options) == "there are: anyscale, oss"
    assert nearest("single", options, cutoff=0).startswith("did you mean 'anyscale'?")
    assert nearest("oss", []) == "there are none"
