"""Names: real ones come in, and PostgreSQL's come out; or two lines that say what to write."""

from pathlib import Path

import pytest

from workshop.room.names import LONGEST, check_room, names_in, plain, plain_names

from .conftest import error_of


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("ada", "ada"),
        ("Ada Lovelace", "ada_lovelace"),
        ("  Ada \t Lovelace ", "ada_lovelace"),
        ("Zoë O'Brien", "zoe_obrien"),
        ("Zoe\u0308 O\u2019Brien", "zoe_obrien"),  # the accent, and the apostrophe, written in another way
        ("Łukasz Żółć", "lukasz_zolc"),
        ("Søren Ægir Þórsson", "soren_aegir_thorsson"),
        ("Jürgen Weiß", "jurgen_weiss"),
        ("İpek Işık", "ipek_isik"),
        ("Anne-Marie d’Arc", "anne_marie_darc"),
        ("J. R. R. Tolkien", "j_r_r_tolkien"),
        ("Nguyễn Văn A", "nguyen_van_a"),
        ("ada2", "ada2"),
        ("user", "user"),  # a word of SQL: with the room before it, it is none
    ],
)
def test_a_name_is_kept_in_plain_letters(name: str, kept: str) -> None:
    assert plain(name) == kept
    assert plain(kept) == kept


@pytest.mark.parametrize(
    "name",
    ["", " ", "-", "2ada", "王伟", "Ольга", "ada@home.org", "Lovelace, Ada", "a;b", 'a"b', "a\0b", "🙂", "a\u200bb"],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    message = error_of(lambda: plain(name))
    assert repr(name) in message and "Latin letters" in message


def test_a_name_that_is_too_long_is_refused() -> None:
    assert plain("a" * LONGEST) == "a" * LONGEST
    assert f"{LONGEST + 1} characters" in error_of(lambda: plain("a" * (LONGEST + 1)))
    # What PostgreSQL would cut: the longest role, whose database is called so, too.
    assert len("a" * 21 + "_" + "a" * LONGEST) <= 63


def test_names_that_would_be_kept_alike_are_refused_together() -> None:
    message = error_of(lambda: plain_names(["Ada", "Grace", "ÁDA"]))
    assert "'Ada' and 'ÁDA'" in message and "Tell them apart" in message
    assert "no names" in error_of(lambda: plain_names([]))
    assert plain_names([" Ada  Lovelace "]) == {"ada_lovelace": "Ada Lovelace"}


@pytest.mark.parametrize("name", ["", "Oslo", "1oslo", "os lo", "os-lo", "_oslo", "o" * 22, "oslö", "oslo\n"])
def test_what_is_no_name_of_a_room_is_refused(name: str) -> None:
    assert "no name of a room" in error_of(lambda: check_room(name))


@pytest.mark.parametrize("name", ["room", "room_1", "pg", "pg_oslo"])
def test_names_of_rooms_with_a_meaning_of_their_own_are_refused(name: str) -> None:
    assert "meaning of their own" in error_of(lambda: check_room(name))


def test_rooms_may_be_called_so() -> None:
    for name in ("oslo", "o", "o" * 21, "oslo_2", "roomy", "pgday"):
        assert check_room(name) == name


def test_a_file_has_one_name_a_line(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeff# Tuesday\r\nAda Lovelace\r\n\r\n  Zoë \r\n".encode())  # as an editor on Windows writes it
    assert names_in(file) == ["Ada Lovelace", "Zoë"]


def test_a_bad_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    assert "cannot be read: No such file" in error_of(lambda: names_in(file))
    assert "cannot be read: Is a directory" in error_of(lambda: names_in(tmp_path))
    for text in (b"", b"\n# nobody yet\n"):
        file.write_bytes(text)
        assert "There are no names in" in error_of(lambda: names_in(file))
    for text in ("Zoë".encode("latin-1"), "Ada\n".encode("utf-16")):
        file.write_bytes(text)
        assert "is no text in UTF-8" in error_of(lambda: names_in(file))
