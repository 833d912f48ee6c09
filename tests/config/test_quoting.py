"""What a message prints can be pasted: a shell and Hydra read back what was meant."""

import subprocess

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from vbench.config import quoting

VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


def after_the_shell(word: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", f"printf %s {word}"], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout


@given(VALUES)
@example("a,b.mp4")
@example("it's.mp4")
@example("a:b.mp4")
@example("C:\\clips\\")
@example("a\\'b")
@example("${x}")
@example('say "$HOME" `id` !')
@example("a b")
def test_an_override_comes_back_as_the_value_that_was_meant(value: str) -> None:
    argument = after_the_shell(quoting.override("video.path", value))
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert not override.is_sweep_override()
    read = OmegaConf.create({"path": override.value()})
    assert str(read.path) == value


@given(VALUES)
def test_a_shell_gives_back_each_word(text: str) -> None:
    assert after_the_shell(quoting.shell_quoted(text)) == text


def test_quotes_that_a_shell_has_left_are_taken_off() -> None:
    assert quoting.unquoted("'a,b'") == "a,b"
    assert quoting.unquoted("'") == "'"
    assert quoting.unquoted("it's") == "it's"
