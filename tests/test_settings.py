"""docs/settings.md and config.py say the same."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from config import SECRET_FILE, SettingError, Settings

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>[^|]+) \| (?P<limits>[^|]+) \| (?P<meaning>[^|]+) \|$", re.M)
RANGE = re.compile(r"^(\d+)–(\d+)$")


@dataclass(frozen=True, slots=True)
class Documented:
    """One row of docs/settings.md."""

    name: str
    default: str
    limits: str

    @property
    def range(self) -> tuple[int, int] | None:
        """Return the lowest and highest whole number, or None for text."""
        found = RANGE.match(self.limits)
        return (int(found[1]), int(found[2])) if found else None


ROWS = [
    Documented(row["name"], row["default"].strip(), row["limits"].strip())
    for row in ROW.finditer((ROOT / "docs/settings.md").read_text("utf-8"))
]
NUMBERS = [row for row in ROWS if row.range]


class Recorded(Mapping[str, str]):
    """An environment that remembers which names were asked for."""

    def __init__(self, **values: str) -> None:
        self.values_, self.asked = values, set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def read(tmp_path: Path, **values: str) -> Settings:
    """Return the settings of an environment whose data folder is the test's own."""
    return Settings.from_env({"TROPA_DATA": str(tmp_path), **values})


def field_of(name: str) -> str:
    """Return the field that a setting fills."""
    special = {"TROPA_TIMEZONE": "default_timezone"}
    return special.get(name, name.removeprefix("TROPA_").lower())


def test_documented_settings_are_those_read(tmp_path: Path) -> None:
    """Every variable that config.py asks for has a row, and no row is a leftover."""
    environment = Recorded(TROPA_DATA=str(tmp_path))
    Settings.from_env(environment)
    assert sorted(row.name for row in ROWS) == sorted(environment.asked)


def test_every_field_has_its_setting() -> None:
    """Every field of Settings is filled from a documented variable."""
    assert {field_of(row.name) for row in ROWS} == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_default_is_the_documented_one(row: Documented, tmp_path: Path) -> None:
    """What the page calls the default is what an empty environment gives."""
    value = getattr(read(tmp_path), field_of(row.name))
    if row.name == "SECRET_KEY":
        assert value == (tmp_path / SECRET_FILE).read_text("ascii")
    elif row.name == "TROPA_DATA":
        assert (row.default, value) == ("`var`", tmp_path)
    elif row.default == "(none)":
        assert value == ""
    else:
        assert str(value) == row.default.strip("`").replace("TROPA_DATA", str(tmp_path))


def test_data_folder_defaults_to_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TROPA_DATA everything lies in var/ of the folder where the service was started."""
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({}).data == tmp_path / "var"


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_range_is_the_documented_one(row: Documented, tmp_path: Path) -> None:
    """Both ends of the documented range are taken, and one step beyond either is refused by name."""
    low, high = row.range
    for value in (low, high):
        assert getattr(read(tmp_path, **{row.name: str(value)}), field_of(row.name)) == value
    for value in (low - 1, high + 1):
        with pytest.raises(SettingError, match=f"{row.name}={value} .*{low} to {high}"):
            read(tmp_path, **{row.name: str(value)})


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
@pytest.mark.parametrize("value", ["many", "1.5", "0x10"])
def test_a_number_that_is_none_is_refused(row: Documented, value: str, tmp_path: Path) -> None:
    """Text where a number belongs is refused by the setting's name, not half understood."""
    with pytest.raises(SettingError, match=row.name):
        read(tmp_path, **{row.name: value})


def test_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """The first start makes a key that only this user may read; the next start takes the same."""
    first = read(tmp_path).secret_key
    assert len(first) >= 32
    assert (tmp_path / SECRET_FILE).stat().st_mode & 0o777 == 0o600
    assert read(tmp_path).secret_key == first


def test_short_secret_is_refused(tmp_path: Path) -> None:
    """A key that could be guessed does not start the service."""
    with pytest.raises(SettingError, match="SECRET_KEY"):
        read(tmp_path, SECRET_KEY="hunter2")


def test_damaged_secret_file_is_refused(tmp_path: Path) -> None:
    """A truncated key file is named, not silently replaced: that would end every login and link."""
    (tmp_path / SECRET_FILE).write_text("abc")
    with pytest.raises(SettingError, match=SECRET_FILE):
        read(tmp_path)


def test_secret_does_not_show_in_logs(tmp_path: Path) -> None:
    """Printing the settings does not print the key."""
    settings = read(tmp_path)
    assert settings.secret_key not in repr(settings)
