"""Settings that every process of an installation must read alike."""

from pathlib import Path

from engage_pipeline.settings import PROJECT_ROOT, Settings


def test_a_relative_home_is_taken_from_where_the_command_was_given(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGAGE_HOME", "data/engage")
    assert Settings().home == tmp_path / "data" / "engage"
    assert Settings().inbox.is_absolute()


def test_without_a_setting_the_data_lies_in_the_project():
    assert Settings().home == PROJECT_ROOT / ".engage"
    assert Path(Settings().home).is_absolute()
