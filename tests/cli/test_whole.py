"""Whole numbers on the command line are not rounded, and empty words are not taken for a value."""

from __future__ import annotations

import pytest
from cyclopts import CycloptsError

from lamnet.cli.main import app
from lamnet.cli.whole import with_lists_apart


def read(line: str, option: str) -> object:
    return app.parse_args(line, exit_on_error=False, print_error=False)[1].arguments[option]


@pytest.mark.parametrize(
    ("line", "option", "word"),
    [
        ("evaluate bicubic --data d --scale 3.9", "--scale", "3.9"),
        ("evaluate bicubic --data d --border=1.6", "--border", "1.6"),
        ("prepare d --out o --scales 2 3.9", "--scales", "3.9"),
        ("train tiny_x4 --data d --out o --batch 2.5", "--batch", "2.5"),
        ("upscale a.png --tile 33.7", "--tile", "33.7"),
        ("upscale a.png --tile 1.e400", "--tile", "1.e400"),
        ("bench --scale 2.7", "--scale", "2.7"),
        ("bench --output 34 5.5", "--output", "5.5"),
        ("info tiny --scale 2.5", "--scale", "2.5"),
        ("app --port 0.5", "--port", "0.5"),
        ("figures attribution a.png tiny --region 1 2 3.5 4 --out o.png", "--region", "3.5"),
    ],
)
def test_a_fraction_is_no_whole_number(line: str, option: str, word: str) -> None:
    with pytest.raises(CycloptsError) as raised:
        read(line, "")
    assert str(raised.value) == f"Invalid value for {option}: expected a whole number, got {word}"


def test_whole_numbers_and_factors_are_read_as_before() -> None:
    assert read("evaluate bicubic --data d --scale 3", "scale") == 3
    assert read("evaluate bicubic --data d --border 0", "border") == 0
    assert read("bench --scale 2.0", "scale") == 2
    assert read("bench --output 34 5", "output") == (34, 5)
    assert read("prepare d --out o --scales 2 4", "scales") == (2, 4)
    assert read("upscale a.png --scale 2.5", "scale") == 2.5
    assert read("upscale a.png 1.5", "photos") == ["a.png", "1.5"]


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("train tiny_x4 --data d --out o --budget", "--budget"),
        ("train tiny_x4 --data d --out o --cooldown", "--cooldown"),
        ("train tiny_x4 --data d --out o --from", "--from"),
        ("train tiny_x4 --data d --out o --valid", "--valid"),
        ("train tiny_x4 --data d --out o --state", "--state"),
        ("train tiny_x4 --data d --out", "--out"),
        ("upscale a.png -o", "-o"),
        ("upscale a.png --model", "--model"),
        ("evaluate tiny --data", "--data"),
        ("evaluate tiny --data d --degrade", "--degrade"),
        ("figures curve run -o", "-o"),
    ],
)
def test_an_empty_word_is_no_value(line: str, option: str) -> None:
    with pytest.raises(CycloptsError) as raised:
        app.parse_args([*line.split(), ""], exit_on_error=False, print_error=False)
    assert str(raised.value) == f"Invalid value for {option}: expected a value, got an empty word"


def test_an_empty_word_is_no_folder() -> None:
    with pytest.raises(CycloptsError, match="expected a value, got an empty word"):
        app.parse_args(["prepare", "", "set"], exit_on_error=False, print_error=False)


def test_flags_are_read_as_before() -> None:
    assert read("upscale a.png --overwrite --json", "overwrite") is True
    assert read("train tiny_x4 --data d --out o --tensorboard", "tensorboard") is True


@pytest.mark.parametrize(
    ("line", "option", "expected"),
    [
        ("prepare d --out o --scales 2,4", "scales", (2, 4)),
        ("prepare d --out o --scales=2,3,4", "scales", (2, 3, 4)),
        ("prepare d --out o --scales 2 --scales 4", "scales", (2, 4)),
        ("bench --output 34,5 tiny,base", "output", (34, 5)),
        ("bench --output=34,5 tiny,base", "networks", "tiny,base"),
        ("bench 34,5 --threads 2", "networks", "34,5"),
        ("figures attribution a.png tiny --region 1, 2, 3, 4 --out o.png", "region", (1, 2, 3, 4)),
    ],
)
def test_a_list_of_numbers_may_have_commas(line: str, option: str, expected: object) -> None:
    words = with_lists_apart(line.split())
    assert app.parse_args(words, exit_on_error=False, print_error=False)[1].arguments[option] == expected


def test_a_list_that_is_no_numbers_is_named_as_it_was_typed() -> None:
    with pytest.raises(CycloptsError, match='Invalid value for --scales: unable to convert "2,x" into int'):
        app.parse_args(
            with_lists_apart(["prepare", "d", "--out", "o", "--scales", "2,x"]), exit_on_error=False, print_error=False
        )
    with pytest.raises(CycloptsError, match=r"expected a whole number, got 3\.9"):
        app.parse_args(
            with_lists_apart(["prepare", "d", "--out", "o", "--scales", "2,3.9"]),
            exit_on_error=False,
            print_error=False,
        )
