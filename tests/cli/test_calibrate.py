"""`autoscope calibrate`: measures, keeps, prints."""

from __future__ import annotations

import json

import pytest
from cli_kit import python, tree

from autoscope.cli import calibrate
from autoscope.plan import cost


def run(*arguments, cwd, **variables):
    return python("-m", "autoscope", "calibrate", "--quick", *arguments, cwd=cwd, env=variables)


def test_the_table_is_measured_kept_and_found(tmp_path):
    """What is printed is what `load` finds from then on, and is plausible; nothing is said on standard error."""
    work = tmp_path / "work"
    work.mkdir()

    done = run("--format", "json", cwd=work, AUTOSCOPE_CACHE_DIR=str(tmp_path / "cache"))

    assert (b"", 0) == (done.stderr, done.code)
    printed = json.loads(done.stdout)
    table = cost.CostTable.from_dict(printed["table"])
    assert cost.interpreter() == table.interpreter
    assert table.source.startswith("calibrated 20")
    assert table == cost.load(str(tmp_path / "cache"))
    assert {} == cost.implausible(table)
    assert cost.shipped(table_version()) == cost.CostTable.from_dict(printed["shipped"])
    assert [] == tree(work)


def table_version():
    import sys

    return sys.version_info[:2]


def test_without_a_cache_it_is_only_printed(tmp_path):
    """Every figure stands beside the shipped one; that nothing is kept is said; settings for tracing change nothing."""
    done = run(cwd=tmp_path, AUTOSCOPE_CACHE_DIR="", AUTOSCOPE_DISABLED="1", OTEL_SDK_DISABLED="true")

    assert (b"", 0) == (done.stderr, done.code)
    lines = done.stdout.decode().splitlines()
    assert list(cost.PRICES) == sorted(
        (line.split()[0] for line in lines[1 : 1 + len(cost.PRICES)]), key=cost.PRICES.index
    )
    assert "not kept: AUTOSCOPE_CACHE_DIR is empty, or there is no HOME; name a directory" == lines[-1]
    assert [] == tree(tmp_path)


MEASURED = {name: getattr(cost.shipped(), name) + 1 for name in cost.PRICES if name != "state"}


def outcome(monkeypatch, capsys, tmp_path, *words, **changes):
    """What the command prints for figures that are not left to chance."""
    monkeypatch.setattr(calibrate, "_measure_all", lambda rounds: MEASURED | changes)
    monkeypatch.setenv("AUTOSCOPE_CACHE_DIR", str(tmp_path))
    from autoscope.cli import main

    code = main(["calibrate", *words])
    return code, capsys.readouterr().out


def test_an_implausible_figure_is_not_believed(monkeypatch, capsys, tmp_path):
    """The shipped figure stands in its place, and that is said."""
    code, said = outcome(monkeypatch, capsys, tmp_path, flag=-3.0)

    assert 0 == code
    assert "* flag: what was measured cannot be -3; the shipped figure stands" in said.splitlines()
    here = cost.shipped(table_version())
    assert (here.flag, MEASURED["step"]) == (cost.load(str(tmp_path)).flag, cost.load(str(tmp_path)).step)


def test_what_is_kept_is_named_in_json(monkeypatch, capsys, tmp_path):
    """Figure and reason, for whoever reads it by program."""
    _, said = outcome(monkeypatch, capsys, tmp_path, "--format", "json", told=float("nan"))

    assert {"told": "cannot be nan"} == json.loads(said)["kept"]


def test_state_follows_the_price_of_an_argument(monkeypatch, capsys, tmp_path):
    """Nothing captures state yet, so it cannot be measured."""
    outcome(monkeypatch, capsys, tmp_path, argument=cost.shipped(table_version()).argument * 2)

    assert cost.shipped(table_version()).state * 2 == cost.load(str(tmp_path)).state


def test_a_directory_that_cannot_be_used_is_an_error_in_one_line(monkeypatch, capsys, tmp_path):
    """Exit code 2, as for everything used wrongly."""
    (tmp_path / "costs").write_text("in the way")

    monkeypatch.setattr(calibrate, "_measure_all", lambda rounds: MEASURED)
    monkeypatch.setenv("AUTOSCOPE_CACHE_DIR", str(tmp_path))
    from autoscope.cli import main

    assert 2 == main(["calibrate"])
    assert 1 == len(capsys.readouterr().err.splitlines())


def test_a_process_that_fails_is_told(tmp_path):
    """What it said last is in the error."""
    with pytest.raises(
        calibrate.AutoscopeError, match=r"^nothing was measured: .*costs_plain.*; try `autoscope doctor`$"
    ):
        calibrate._in_a_process(str(tmp_path), 1.0, 1)


def test_the_module_that_is_measured_compiles():
    """Every loop calls what it is named after, `COPIES` functions of it."""
    names: dict[str, object] = {}
    exec(compile(calibrate.module_text(), "module", "exec"), names)

    assert calibrate.COPIES == sum(name.startswith("four") for name in names)
    for loop in calibrate.SPANS:
        names[f"run_{loop}"](1)
