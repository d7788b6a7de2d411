"""What is told of a wrong call: the code for programs, the words for people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import osgp_fast as osgp
import pytest
from click.testing import CliRunner
from osgp_fast import _impl
from osgp_fast.cli.decode import decode as command
from osgp_fast.errors import InputError, OsgpError, UsageError
from osgp_fast.sinks.files import format_of

DUMP = Path(__file__).parent / "samples" / "dump"


def test_an_input_is_needed() -> None:
    with pytest.raises(UsageError) as error:
        osgp.decode([])
    assert error.value.code == "usage.input"


@pytest.mark.parametrize(("path", "format"), [("out.txt", None), ("out", None), ("out.csv", "xlsx")])
def test_formats(path: str, format: str | None) -> None:
    with pytest.raises(UsageError) as error:
        format_of(path, format)
    assert error.value.code == "usage.format"
    assert "parquet" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--split", "1MB"], "usage.split"),
        (["-o", ""], "usage.output"),
        (["-o", "no/such/directory/out.csv"], "usage.output"),
        (["-o", str(DUMP / "M00002001" / "BT00.bin") + "/x/"], "usage.output"),
        (["--format", "csv"], "usage.format"),
    ],
)
def test_options_of_the_command(arguments: list[str], code: str) -> None:
    result = CliRunner().invoke(command, [str(DUMP), *arguments], standalone_mode=False)
    assert isinstance(result.exception, UsageError), result.output
    assert result.exception.code == code
    assert result.exception.hint


def _without_data(tmp_path: Path) -> Any:
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table({"meter": ["a"], "table": [61]})


@pytest.mark.parametrize("make", [_without_data])
def test_table_images_without_their_columns(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    table = make(tmp_path)
    with pytest.raises(InputError) as error:
        osgp.decode_load_profile(table)
    assert error.value.code == "input.columns"
    assert "data" in str(error.value)


@pytest.mark.skipif(not _impl.compiled(), reason="the pure wheel has no compiled part to misuse")
def test_the_compiled_part_checks_its_arguments(tmp_path: Path) -> None:
    with pytest.raises(OsgpError) as error:
        _impl.core().FileSink(str(tmp_path / "out.csv"), False, "csv", ["meters", "events"])
    assert error.value.code == "usage.arguments"
