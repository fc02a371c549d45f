"""Settings: defaults with nothing, a file, the environment, and errors that name the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from medqa.config import Settings, load
from medqa.errors import InvalidSettings


def test_nothing_set_gives_the_defaults() -> None:
    assert load(None, {}) == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "medqa.toml"
    file.write_text('[node]\nport = 104\nae_title = "QA"\n')
    settings = load(file, {"MEDQA_NODE__PORT": "11113"})
    assert (settings.node.port, settings.node.ae_title) == (11113, "QA")


def test_a_rule_comes_from_the_environment_as_json() -> None:
    rules = '[{"destination": "pacs", "action": "hold", "until": "ADEQUATE"}]'
    assert load(None, {"MEDQA_ROUTING__RULES": rules}).routing.rules[0].until == "ADEQUATE"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[node]\nprot = 1", "did you mean port?"),
        ("[nodes]\nport = 1", "did you mean node?"),
        ("[node]\nport = 70000", "65535"),
        ("[node", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_way_out(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "medqa.toml"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match="MQ100") as caught:
        load(file, {})
    assert says in str(caught.value)


def test_what_config_show_prints_is_what_load_reads(tmp_path: Path) -> None:
    from medqa.cli.config import lines

    settings = load(None, {"MEDQA_ROUTING__DESTINATIONS": '{"pacs": {"ae_title": "ARCHIVE", "host": "pacs", "port": 104}}'})
    file = tmp_path / "again.toml"
    file.write_text("\n".join(lines(settings.model_dump(mode="json"), ())))
    assert load(file, {}) == settings
