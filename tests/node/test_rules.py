"""Which originals go where: by default they flow; a rule holds them; nothing goes back to where it came from."""

from __future__ import annotations

import pytest

from dicom_node.records import Outgoing
from dicom_node.rules import AT_ADEQUATE, AT_COMPLETION, AT_VERDICT, at_verdict, came_from, check, forwards
from medqa.config import Destination, RoutingSettings, Rule
from medqa.errors import InvalidSettings


def routing(*rules: dict[str, str], results: str | None = "pacs") -> RoutingSettings:
    return RoutingSettings.model_validate({"rules": rules, "results": results})


def test_without_a_rule_images_flow_at_completion_to_the_destination_of_the_results() -> None:
    (forward,) = forwards(routing(), "CT")
    assert (forward.destination, forward.until) == ("pacs", AT_COMPLETION)
    assert forwards(routing(results=None), "CT") == ()


def test_the_first_rule_that_matches_decides_for_each_destination() -> None:
    table = routing(
        {"destination": "pacs", "modality": "MR", "action": "hold", "until": "ADEQUATE"},
        {"destination": "pacs", "action": "hold"},
        {"destination": "research", "modality": "PT"},
        {"destination": "pacs", "until": "completion"},
    )
    assert [(one.destination, one.until, one.why) for one in forwards(table, "MR")] == [("pacs", AT_ADEQUATE, "rule 1")]
    assert [(one.destination, one.until) for one in forwards(table, "PT")] == [("pacs", AT_VERDICT), ("research", AT_COMPLETION)]


def test_a_series_that_no_rule_matches_still_flows() -> None:
    table = routing({"destination": "research", "modality": "PT", "action": "hold", "until": "ADEQUATE"})
    assert [(one.destination, one.until) for one in forwards(table, "CT")] == [("pacs", AT_COMPLETION)]


@pytest.mark.parametrize("action", ["forward", "hold"])
@pytest.mark.parametrize("until", ["completion", "ADEQUATE", "any verdict"])
def test_every_rule_that_can_be_written_means_something(action: str, until: str) -> None:
    rule = Rule.model_validate({"destination": "pacs", "action": action, "until": until})
    (forward,) = forwards(RoutingSettings.model_validate({"rules": (rule,)}), "CT")
    assert (forward.until == AT_COMPLETION) == (action == "forward" and until == "completion")


@pytest.mark.parametrize(
    ("until", "verdict", "expected"),
    [
        (AT_VERDICT, "RESCAN", Outgoing.DUE),
        (AT_VERDICT, "ADEQUATE", Outgoing.DUE),
        (AT_ADEQUATE, "ADEQUATE", Outgoing.DUE),
        (AT_ADEQUATE, "REVIEW", Outgoing.WITHHELD),
        (AT_ADEQUATE, "RESCAN", Outgoing.WITHHELD),
        (AT_ADEQUATE, None, Outgoing.DUE),
    ],
)
def test_a_verdict_releases_or_withholds(until: str, verdict: str | None, expected: Outgoing) -> None:
    assert at_verdict(until, verdict)[0] is expected


@pytest.mark.parametrize(
    ("sender", "address", "ae_title", "host", "back"),
    [
        ("PACS", "10.0.0.9", "PACS", "10.0.0.1", True),
        ("pacs ", "10.0.0.9", "PACS", "10.0.0.1", True),
        ("CT1", "10.0.0.1", "PACS", "10.0.0.1", True),
        ("CT1", "::ffff:10.0.0.1", "PACS", "10.0.0.1", True),
        ("CT1", "10.0.0.2", "PACS", "10.0.0.1", False),
        ("CT1", "127.0.0.1", "PACS", "localhost", False),
        ("CT1", "127.0.0.1", "PACS", "127.0.0.1", False),
        ("CT1", "10.0.0.2", "PACS", "no-such-host.invalid", False),
        ("CT1", "somewhere", "PACS", "10.0.0.1", False),
    ],
)
def test_what_came_from_there_is_recognised(sender: str, address: str, ae_title: str, host: str, back: bool) -> None:
    assert came_from(sender, address, Destination(ae_title=ae_title, host=host, port=104)) is back


def test_a_rule_that_leads_nowhere_is_refused_at_the_door() -> None:
    place = {"ae_title": "PACS", "host": "h", "port": 104}
    with pytest.raises(InvalidSettings, match=r"routing\.results"):
        check(routing())
    with pytest.raises(InvalidSettings, match=r"rules\[1\].*research is no destination \(known: pacs\)"):
        check(
            RoutingSettings.model_validate(
                {"destinations": {"pacs": place}, "rules": [{"destination": "pacs"}, {"destination": "research"}]}
            )
        )
