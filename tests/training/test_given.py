"""LR that comes with HR: which names belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.training.given import Given, lr_beside


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("a.png", "a.jpg"),
        ("A.PNG", "a.png"),
        ("0001.png", "0001x4.png"),
        ("0001.png", "X4/0001x4.png"),
        ("b/a.png", "b/a_x4.png"),
        ("a_HR.png", "a_LR.png"),
        ("a_HR_x4.png", "a_LRBI_x4.png"),
        ("img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png"),
        ("a_LR4.png", "a_LR4.png"),
        ("a.b.png", "a.b.png"),
    ],
)
def test_names_that_belong_together(hr: str, lr: str) -> None:
    assert _pairs(4, [hr], [lr]) == ({hr: lr}, ())


def _pairs(scale: int, hr: list[str], lr: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    found = Given.find(Path("lr"), scale, hr, dict.fromkeys(lr, 0))
    return {name: pair.lr for name, pair in found.pairs.items()}, found.unpaired


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        (["a.png", "a_x4.png"], ["a_x4.png"]),
        (["A.png", "a.png"], ["a.png"]),
        (["a.jpg", "a.png"], ["a.png"]),
        (["a_hr.png", "a.png"], ["a.jpg"]),
    ],
)
def test_an_lr_goes_to_the_name_that_is_most_alike(hr: list[str], lr: list[str]) -> None:
    """Each HR but the last is named so that it would take the LR if it came first."""
    assert _pairs(4, sorted(hr), lr) == ({hr[-1]: lr[0]}, ())
    both = _pairs(4, sorted(hr), [*lr, "a_x4.webp"])[0]
    assert both[hr[-1]] == lr[0]


def test_case_and_format_tell_which_is_which() -> None:
    names = ["A.jpg", "A.png", "a.png"]
    assert _pairs(4, names, names) == ({name: name for name in names}, ())
    assert _pairs(4, ["A.png", "a.png"], ["A.jpg", "a.jpg"])[0] == {"A.png": "A.jpg", "a.png": "a.jpg"}


def test_folders_of_a_scale_on_both_sides_are_folders_like_others() -> None:
    names = ["b.png", "x2/a.png", "x4/a.png"]
    for scale in (2, 3, 4):
        assert _pairs(scale, names, names) == ({name: name for name in names}, ())
    assert _pairs(4, ["a.png", "x4/a.png"], ["x4/a.png"]) == ({"x4/a.png": "x4/a.png"}, ())
    assert _pairs(4, ["a.tif", "x4/a.tif"], ["x4/a.png"]) == ({"x4/a.tif": "x4/a.png"}, ())
    assert _pairs(2, ["X2/a_HR.png"], ["X2/a_LR.png"])[0] == {"X2/a_HR.png": "X2/a_LR.png"}


def test_a_folder_of_the_scale_hides_no_other_lr() -> None:
    assert _pairs(4, ["a.png", "b.png"], ["X4/a.png", "b.png", "c.png"]) == (
        {"a.png": "X4/a.png", "b.png": "b.png"},
        ("c.png",),
    )


def test_names_that_do_not_belong_together_are_listed() -> None:
    assert _pairs(4, ["b.png"], ["ax2.png", "b.png", "c/b.png"]) == ({"b.png": "b.png"}, ("ax2.png", "c/b.png"))
    twice = ({"a.png": "a.png"}, ("a.jpg", "ax4.png"))
    assert _pairs(4, ["a.png"], ["a.jpg", "a.png", "ax4.png"]) == twice
    assert _pairs(4, ["a.tif"], ["a.png", "a.jpg"]) == ({"a.tif": "a.jpg"}, ("a.png",))


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("a.png", ["ax2.png", "ax3.png", "ax4.png", "ax8.jpg"]),
        ("a.png", ["X2/ax2.png", "X3/ax3.png", "X4/ax4.png"]),
        ("a.png", ["x2/a.png", "x3/a_LR.png", "x4/a.png"]),
        ("b/a_HR.png", ["X2/b/a_LR.png", "X4/b/a_LR.png"]),
        ("a_HR_x4.png", ["a_LRBI_x2.png", "a_LRBI_x4.png"]),
        ("A_SRF_4_HR.png", ["a_SRF_2_LR.png", "a_SRF_4_LR.png"]),
        ("a.png", ["ax2.png"]),
    ],
)
def test_lr_of_other_scales_is_not_listed(hr: str, lr: list[str]) -> None:
    found = [name for name in lr if "4" in name]
    assert _pairs(4, [hr], lr) == ({hr: found[0]} if found else {}, ())
    assert _pairs(4, ["other.png"], lr)[1] == tuple(lr)


@pytest.mark.parametrize(
    ("names", "beside"),
    [
        (["a.png", "LR_x4/a.png"], ["LR_x4/a.png"]),
        (
            ["HR/a.png", "LR_bicubic/X4/ax4.png", "LR_bicubic/X2/ax2.png"],
            ["LR_bicubic/X4/ax4.png", "LR_bicubic/X2/ax2.png"],
        ),
        (["DIV2K_train_HR/0001.png", "DIV2K_train_LR_unknown/X2/0001x2.png"], ["DIV2K_train_LR_unknown/X2/0001x2.png"]),
        (["a_HR.png", "lr/A_LR.PNG"], ["lr/A_LR.PNG"]),
        (["a.png", "LR/b.png"], []),
        (["LR/a.png", "LR/b.png"], []),
        (["a.png", "colr/a.png", "lr_photos/a.png", "LR.png"], []),
    ],
)
def test_lr_beside_its_hr_is_told_by_its_folder_and_name(names: list[str], beside: list[str]) -> None:
    assert lr_beside(names) == set(beside)
