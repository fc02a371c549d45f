"""What the node knows: revisions, jobs, assessments and the outbox, each moved by one commit or not at all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dicom_node import database
from dicom_node.catalogue import Catalogue
from dicom_node.database import Database
from dicom_node.lifecycle import State
from dicom_node.outbox import SendResult
from dicom_node.records import Arrival, Job, JobKind, NodeEvent, Outgoing, RenderedObject, Status
from dicom_node.tables import assessments, metadata
from medqa.config import RoutingSettings
from medqa.errors import JobLost
from tests.node.loopback import CT, EXPLICIT, PT, Clock

SERIES = "1.2.3.1"


class Desk:
    """A catalogue in a folder, on a clock that the test moves."""

    def __init__(self, folder: Path, **routing: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = Clock()
        self.catalogue = Catalogue(folder, RoutingSettings.model_validate(routing), clock=self.clock)
        self.catalogue.database.upgrade(folder / "lock")
        self.association = self.open()

    def open(self, sender: str = "SCANNER", address: str = "10.0.0.7") -> int:
        return self.catalogue.association_opened(sender=sender, address=address, listener="here")

    def arrive(self, *numbers: int, series: str = SERIES, association: int | None = None, **changes: Any) -> list[int]:
        given = {"sop_class_uid": CT, "study_uid": "1.2.3", "size": 10, "crc": 1, "transfer_syntax": EXPLICIT, "modality": "CT"}
        given |= {"series_uid": series, "association": association or self.association} | changes
        return self.catalogue.record_received(
            [Arrival(sop_instance_uid=f"{series}.{one}", path=f"objects/{series}.{one}.dcm", **given) for one in numbers]
        )

    def complete(self, revision: int = 1, series: str = SERIES) -> State:
        return self.catalogue.mark_complete(series, revision, reason="settled", evidence={"quiet_s": 5.0})

    def judge(self, verdict: str | None = "ADEQUATE") -> Job:
        job = self.catalogue.claim(JobKind.JUDGE, "worker", 60)
        assert job is not None
        self.catalogue.finish_judging(job, {"verdict": verdict}, verdict=verdict)
        return job

    def render(self, *names: str) -> State:
        job = self.catalogue.claim(JobKind.RENDER, "renderer", 60)
        assert job is not None
        objects = [
            RenderedObject(
                path=self.catalogue.root / "spool" / name,
                sop_instance_uid=f"2.25.{name}",
                sop_class_uid="1.2",
                transfer_syntax=EXPLICIT,
            )
            for name in names
        ]
        return self.catalogue.finish_rendering(job, objects)

    def outbox(self, series: str = SERIES) -> dict[str, Outgoing]:
        return {row.sop_instance_uid: row.state for row in self.catalogue.outbox_of(series)}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, results="pacs", destinations={"pacs": {"ae_title": "PACS", "host": "10.0.0.1", "port": 104}})


# ---- tables -------------------------------------------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_tables(desk: Desk) -> None:
    with desk.catalogue.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
        assert Database.version(connection) == database.HEAD
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [database.HEAD]


def test_an_empty_database_goes_up_and_down_again(tmp_path: Path) -> None:
    from alembic import command

    store = Database(database.sqlite_url(tmp_path))
    store.upgrade(tmp_path / "lock")
    store.upgrade(tmp_path / "lock")
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    with store.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with store.read() as connection:
        assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version"}
    store.close()


def test_several_processes_upgrade_at_once(tmp_path: Path) -> None:
    code = "import sys, pathlib as p; from dicom_node import database as d; r = p.Path(sys.argv[1])"
    code += "; d.Database(d.sqlite_url(r)).upgrade(r / 'lock')"
    processes = [subprocess.Popen([sys.executable, "-c", code, tmp_path]) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]


def test_a_commit_is_durable_and_a_writer_takes_its_lock_first(desk: Desk) -> None:
    with desk.catalogue.database.read() as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    other = Catalogue(desk.catalogue.root)
    with desk.catalogue.database.write(), other.database.read() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM series").scalar() == 0
    other.close()


def test_no_question_walks_through_what_is_long_finished(desk: Desk) -> None:
    """Every statement of a series' life, of a listener and of an idle node is answered from an index."""
    statements: list[tuple[str, Any]] = []
    engine = desk.catalogue.database._engine
    sa.event.listen(
        engine, "before_cursor_execute", lambda _c, _cursor, text, values, _context, _many: statements.append((text, values))
    )
    desk.arrive(1, 2)
    desk.catalogue.copies_of(SERIES, f"{SERIES}.1")
    desk.catalogue.instances_of(SERIES, 0, revision=1, judged=True, limit=10)
    desk.catalogue.association_closed(desk.association, "released", received=2, answered=2)
    desk.catalogue.open_series()
    desk.catalogue.note_attempt(SERIES, 1)
    desk.catalogue.noted_series()
    desk.catalogue.store_provisional(SERIES, 1, {}, verdict="REVIEW", instances=2)
    desk.complete()
    desk.judge()
    desk.render("a")
    desk.catalogue.due_destinations(["pacs"])
    rows = desk.catalogue.due_outbox("pacs")
    desk.catalogue.outbox_results([SendResult(row=row.id, state=Outgoing.SENT, status=0) for row in rows])
    desk.catalogue.release_held()
    desk.catalogue.claim(JobKind.JUDGE, "w", 1)
    desk.catalogue.events_since(0)
    desk.catalogue.verdicts()
    desk.catalogue.add_event(NodeEvent(kind="x", series_uid=SERIES, data={"cause": 1}), once=True)
    plans = []
    with engine.connect() as connection:
        for text, values in statements:
            if re.match(r"(SELECT|UPDATE|DELETE|INSERT .* SELECT)", text) and "alembic" not in text:
                one = values[0] if isinstance(values, list) else values
                plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", one)]
                plans += [
                    (step, text) for step in plan if re.match(r"SCAN (?!CONSTANT)(?!anon|.subquery|destinations|cursors)", step)
                ]
    assert plans == []


# ---- arrival ------------------------------------------------------------------------------------------------------------------


def test_a_series_counts_what_arrives(desk: Desk) -> None:
    ids = desk.arrive(1, 2, 3)
    desk.arrive(4, judged=False, sop_class_uid="1.2.840.10008.5.1.4.1.1.7", modality=None)
    desk.arrive(1, conflict=True, copy=1)
    (record,) = desk.catalogue.open_series()
    assert (record.instances, record.others, record.frames, record.conflicts) == (3, 1, 3, 1)
    assert (record.modality, record.state, record.judged, record.sender) == ("CT", State.RECEIVING, True, "SCANNER")
    assert [one.id for one in desk.catalogue.instances_of(SERIES, after_id=ids[0], judged=True)][:2] == ids[1:]
    assert record.last_id == desk.catalogue.instances_of(SERIES)[-1].id


def test_declared_counts_add_up_over_acquisitions(desk: Desk) -> None:
    desk.arrive(1, 2, declared=20, part="1")
    desk.arrive(3, declared=30, part="2")
    desk.arrive(1, series="1.2.3.9", sop_class_uid=PT, modality="PT", declared=90)
    assert [record.declared for record in desk.catalogue.open_series()] == [50, 90]


def test_one_sop_instance_uid_is_one_row_of_a_series(desk: Desk) -> None:
    desk.arrive(1)
    with pytest.raises(sa.exc.IntegrityError):
        desk.arrive(2, 1)
    assert len(desk.catalogue.instances_of(SERIES)) == 1


def test_associations_of_the_sender_are_counted(desk: Desk) -> None:
    desk.arrive(1)
    second = desk.open()
    desk.open(sender="ANOTHER")
    assert desk.catalogue.open_series()[0].open_associations == 2
    desk.catalogue.association_closed(desk.association, "aborted", received=1, answered=1)
    assert desk.catalogue.open_series()[0].last_released is None
    desk.clock.now += 3
    desk.catalogue.association_closed(second, "released", received=0, answered=0)
    record = desk.catalogue.open_series()[0]
    assert (record.open_associations, record.last_released) == (0, desk.clock.now)
    assert desk.catalogue.close_stale_associations("a later listener") == 1


# ---- revisions ----------------------------------------------------------------------------------------------------------------


def test_late_objects_gather_into_one_new_revision_and_both_are_kept(desk: Desk) -> None:
    desk.arrive(1, 2)
    desk.complete()
    desk.judge("RESCAN")
    desk.arrive(3)
    desk.arrive(4)
    newest = desk.catalogue.series(SERIES)
    assert newest is not None
    assert (newest.revision, newest.state, newest.instances) == (2, State.RECEIVING, 4)
    assert [len(desk.catalogue.instances_of(SERIES, revision=one)) for one in (1, 2)] == [2, 4]
    assert desk.render("first") is State.RENDERED, "the first revision is still reported"
    desk.complete(2)
    desk.judge("ADEQUATE")
    assert [(one.revision, one.verdict) for one in desk.catalogue.verdicts()] == [(1, "RESCAN"), (2, "ADEQUATE")]
    assert [event.data["superseded"] for event in desk.catalogue.events_since(0) if event.kind == "late"] == [1]


def test_an_object_that_comes_before_the_verdict_takes_the_job_back(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    job = desk.catalogue.claim(JobKind.JUDGE, "worker", 60)
    assert job is not None
    desk.arrive(2)
    with pytest.raises(JobLost):
        desk.catalogue.heartbeat(job, 60)
    with pytest.raises(JobLost):
        desk.catalogue.finish_judging(job, {}, verdict="ADEQUATE")
    assert desk.catalogue.verdicts() == []
    record = desk.catalogue.series(SERIES)
    assert record is not None
    assert (record.revision, record.state) == (1, State.RECEIVING)


def test_a_series_is_not_complete_when_more_came_than_was_seen(desk: Desk) -> None:
    desk.arrive(1)
    seen = desk.catalogue.open_series()[0].last_id
    desk.arrive(2)
    with pytest.raises(JobLost):
        desk.catalogue.mark_complete(SERIES, 1, reason="settled", evidence={}, last_id=seen)
    assert desk.catalogue.mark_complete(SERIES, 1, reason="settled", evidence={}, last_id=seen + 1) is State.READY
    with pytest.raises(JobLost):
        desk.complete()


def test_what_is_never_judged_is_set_aside_and_still_flows(desk: Desk) -> None:
    desk.arrive(1, judged=False, sop_class_uid="1.2.840.10008.5.1.4.1.1.88.22")
    assert desk.catalogue.open_series() == []
    assert desk.complete() is State.NOT_JUDGED
    assert desk.catalogue.claim(JobKind.JUDGE, "worker", 60) is None
    assert desk.outbox() == {f"{SERIES}.1": Outgoing.DUE}


def test_completion_keeps_what_proved_it(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    record = desk.catalogue.series(SERIES)
    assert record is not None
    assert (record.completion_reason, record.completion_evidence) == ("settled", {"quiet_s": 5.0})


# ---- jobs ---------------------------------------------------------------------------------------------------------------------


def test_a_lease_belongs_to_one_owner_until_it_expires(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    first = desk.catalogue.claim(JobKind.JUDGE, "first", 60)
    assert first is not None
    assert desk.catalogue.claim(JobKind.JUDGE, "second", 60) is None
    desk.clock.now += 50
    desk.catalogue.heartbeat(first, 60)
    desk.clock.now += 50
    assert desk.catalogue.claim(JobKind.JUDGE, "second", 60) is None
    desk.clock.now += 11
    second = desk.catalogue.claim(JobKind.JUDGE, "second", 60)
    assert second is not None
    assert second.attempts == 2
    with pytest.raises(JobLost, match="another process"):
        desk.catalogue.finish_judging(first, {}, verdict="ADEQUATE")
    desk.catalogue.release(second)
    third = desk.catalogue.claim_series(JobKind.JUDGE, SERIES, "third", 60)
    assert third is not None
    assert third.attempts == 2, "a lease that was given back does not count"


def test_the_oldest_job_comes_first(desk: Desk) -> None:
    for number, series in enumerate(("1.9", "1.8", "1.7")):
        desk.arrive(1, series=series)
        desk.clock.now += number
        desk.complete(series=series)
    assert [job.series_uid for job in iter(lambda: desk.catalogue.claim(JobKind.JUDGE, "w", 60), None)] == ["1.9", "1.8", "1.7"]


def test_a_job_is_finished_once(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    job = desk.judge()
    with pytest.raises(JobLost):
        desk.catalogue.finish_judging(job, {}, verdict="RESCAN")
    assert [one.verdict for one in desk.catalogue.verdicts()] == ["ADEQUATE"]


def test_a_transaction_that_fails_leaves_nothing(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    job = desk.catalogue.claim(JobKind.JUDGE, "worker", 60)
    assert job is not None
    with pytest.raises(TypeError, match="not JSON serializable"):
        desk.catalogue.finish_judging(
            job, {"verdict": "RESCAN"}, verdict="RESCAN", events=[NodeEvent(kind="x", data={"value": object()})]
        )
    assert desk.catalogue.verdicts() == []
    desk.catalogue.finish_judging(job, {}, verdict="RESCAN")


def test_the_table_itself_refuses_a_second_final_assessment(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    desk.judge()
    row = {
        "series_id": 1,
        "revision": 1,
        "status": Status.FINAL,
        "verdict": "RESCAN",
        "document": "{}",
        "instances": 1,
        "made_at": 0.0,
    }
    with pytest.raises(sa.exc.IntegrityError), desk.catalogue.database.write() as connection:
        connection.execute(sa.insert(assessments), row)


def test_a_provisional_assessment_makes_way_for_the_final_one(desk: Desk) -> None:
    desk.arrive(1)
    for verdict in ("REVIEW", "RESCAN"):
        desk.catalogue.store_provisional(SERIES, 1, {"v": verdict}, verdict=verdict, instances=1)
    stored = desk.catalogue.assessment(SERIES)
    assert stored is not None
    assert (stored.status, stored.verdict, stored.document) == (Status.PROVISIONAL, "RESCAN", {"v": "RESCAN"})
    desk.complete()
    with pytest.raises(JobLost):
        desk.catalogue.store_provisional(SERIES, 1, {}, verdict="REVIEW", instances=1)
    desk.judge()
    stored = desk.catalogue.assessment(SERIES)
    assert stored is not None
    assert stored.status is Status.FINAL
    assert desk.catalogue.verdicts(status=Status.PROVISIONAL) == []


def test_noted_attempts_tell_what_a_process_died_with(desk: Desk) -> None:
    desk.arrive(1)
    assert desk.catalogue.note_attempt(SERIES, 1) == 1
    desk.catalogue.clear_attempt(SERIES, 1)
    assert desk.catalogue.noted_series() == []
    desk.catalogue.note_attempt(SERIES, 1)
    assert [record.noted for record in desk.catalogue.noted_series()] == [1]
    desk.complete()
    assert desk.catalogue.note_attempt(SERIES, 1) == 2
    desk.judge("REVIEW")
    assert desk.catalogue.noted_series() == []


def test_a_live_warning_is_entered_once_for_each_cause(desk: Desk) -> None:
    desk.arrive(1)
    entered = [
        desk.catalogue.add_event(NodeEvent(kind="live_warning", series_uid=SERIES, revision=1, data={"cause": cause}), once=True)
        for cause in ("low_score", "low_score", "blank")
    ]
    assert entered == [True, False, True]


def test_a_report_that_cannot_be_made_leaves_the_verdict(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    desk.judge("RESCAN")
    job = desk.catalogue.claim(JobKind.RENDER, "renderer", 60)
    assert job is not None
    assert desk.catalogue.give_up(job, "MQ600: no font") is State.FAILED
    record = desk.catalogue.series(SERIES)
    assert record is not None
    assert record.reason == "MQ600: no font"
    assert [one.verdict for one in desk.catalogue.verdicts()] == ["RESCAN"]


# ---- outbox -------------------------------------------------------------------------------------------------------------------


def hold(until: str = "ADEQUATE") -> dict[str, Any]:
    return {
        "results": "pacs",
        "destinations": {"pacs": {"ae_title": "PACS", "host": "10.0.0.1", "port": 104}},
        "rules": [{"action": "hold", "destination": "pacs", "until": until}],
        "hold_limit_s": 600,
    }


def test_originals_flow_at_completion(desk: Desk) -> None:
    desk.arrive(1, 2)
    assert desk.outbox() == {}
    desk.complete()
    assert desk.outbox() == {f"{SERIES}.1": Outgoing.DUE, f"{SERIES}.2": Outgoing.DUE}
    desk.judge("RESCAN")
    desk.arrive(3)
    desk.complete(2)
    assert len(desk.outbox()) == 3, "nothing is queued twice"


@pytest.mark.parametrize(("verdict", "state"), [("ADEQUATE", Outgoing.DUE), ("RESCAN", Outgoing.WITHHELD), (None, Outgoing.DUE)])
def test_a_held_series_waits_for_its_verdict(tmp_path: Path, verdict: str | None, state: Outgoing) -> None:
    desk = Desk(tmp_path, **hold())
    desk.arrive(1)
    desk.complete()
    assert desk.outbox() == {f"{SERIES}.1": Outgoing.HELD}
    desk.judge(verdict)
    assert desk.outbox() == {f"{SERIES}.1": state}
    assert desk.catalogue.events_since(0)[-1].data["held"] == {state: 1}


def test_a_later_adequate_revision_releases_what_was_withheld(tmp_path: Path) -> None:
    desk = Desk(tmp_path, **hold())
    desk.arrive(1)
    desk.complete()
    desk.judge("RESCAN")
    desk.arrive(2)
    desk.complete(2)
    desk.judge("ADEQUATE")
    assert set(desk.outbox().values()) == {Outgoing.DUE}


def test_without_a_worker_a_held_series_goes_out_at_the_limit(tmp_path: Path) -> None:
    desk = Desk(tmp_path, **hold("any verdict"))
    desk.arrive(1, 2)
    desk.complete()
    desk.clock.now += 599
    assert desk.catalogue.release_held() == []
    desk.clock.now += 1
    assert desk.catalogue.release_held() == [(SERIES, 2)]
    assert set(desk.outbox().values()) == {Outgoing.DUE}


def test_nothing_goes_back_to_where_it_came_from(desk: Desk) -> None:
    desk.arrive(1, association=desk.open(sender="PACS"))
    desk.arrive(2, association=desk.open(address="10.0.0.1"))
    desk.arrive(3)
    desk.arrive(4, judged=False, own=True)
    desk.complete()
    expected = [Outgoing.SKIPPED, Outgoing.SKIPPED, Outgoing.DUE, Outgoing.SKIPPED]
    assert [row.state for row in desk.catalogue.outbox_of(SERIES)] == expected


def test_our_objects_are_delivered_when_each_was_answered(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    desk.judge()
    assert desk.render("pdf", "sr") is State.RENDERED
    rows = {row.sop_instance_uid: row for row in desk.catalogue.due_outbox("pacs")}
    assert rows["2.25.pdf"].path == desk.catalogue.root / "spool" / "pdf"
    answers = [SendResult(row=rows[uid].id, state=Outgoing.SENT, status=0) for uid in (f"{SERIES}.1", "2.25.pdf")]
    assert desk.catalogue.outbox_results(answers) == []
    last = SendResult(row=rows["2.25.sr"].id, state=Outgoing.WARNING, status=0xB000)
    assert desk.catalogue.outbox_results([last]) == [(SERIES, 1, State.DELIVERED)]
    assert desk.catalogue.due_outbox("pacs") == []


def test_a_verdict_does_not_wait_behind_a_backlog_of_images(desk: Desk) -> None:
    desk.arrive(*range(20))
    desk.complete()
    desk.clock.now += 60
    desk.judge()
    desk.render("pdf")
    assert [row.kind for row in desk.catalogue.due_outbox("pacs", 3)] == ["result", "original", "original"]


def test_a_dead_letter_keeps_its_reason_and_can_be_queued_again(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    desk.judge()
    desk.render("pdf")
    (row,) = [one for one in desk.catalogue.due_outbox("pacs") if one.kind == "result"]
    dead = SendResult(row=row.id, state=Outgoing.DEAD, status=0xC000, reason="status 0xC000")
    assert desk.catalogue.outbox_results([dead]) == [(SERIES, 1, State.UNDELIVERED)]
    assert {one.reason for one in desk.catalogue.outbox_of(SERIES) if one.state is Outgoing.DEAD} == {"status 0xC000"}
    assert desk.catalogue.requeue("pacs") == 1
    record = desk.catalogue.series(SERIES)
    assert record is not None
    assert record.state is State.RENDERED
    assert desk.catalogue.outbox_results([SendResult(row=row.id, state=Outgoing.SENT, status=0)]) == [(SERIES, 1, State.DELIVERED)]


def test_a_destination_rests_and_the_others_go_on(tmp_path: Path) -> None:
    place = {"host": "10.0.0.1", "port": 104}
    names = {"a": place | {"ae_title": "A"}, "b": place | {"ae_title": "B"}}
    desk = Desk(tmp_path, destinations=names, rules=[{"destination": "a"}, {"destination": "b"}])
    desk.arrive(1)
    desk.complete()
    assert desk.catalogue.due_destinations(["a", "b"]) == ["a", "b"]
    for failures in (1, 2):
        assert desk.catalogue.destination_failed("a", reason="refused", next_try=desk.clock.now + 10) == failures
    assert desk.catalogue.due_destinations(["a", "b"]) == ["b"]
    desk.clock.now += 10
    assert desk.catalogue.due_destinations(["a", "b"]) == ["a", "b"]
    desk.catalogue.destination_answered("a")
    assert desk.catalogue.backoff("a").failures == 0


def test_without_a_destination_a_rendered_series_is_done(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.arrive(1)
    desk.complete()
    desk.judge()
    assert desk.render("pdf") is State.DELIVERED


def test_a_reader_of_events_starts_at_the_present(desk: Desk) -> None:
    desk.arrive(1)
    desk.complete()
    newest = desk.catalogue.events_since(0)[-1].id
    assert desk.catalogue.cursor("webhook") == newest
    desk.catalogue.move_cursor("webhook", newest + 5)
    assert desk.catalogue.cursor("webhook") == newest + 5


# ---- everything at once -------------------------------------------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """A series sent, completed, judged, reported and sent on in any order: never two verdicts for one revision."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        places = {"pacs": {"ae_title": "PACS", "host": "10.0.0.1", "port": 104}}
        self.desk = Desk(Path(self.folder.name), results="pacs", destinations=places)
        self.sent = 0
        self.jobs: list[Job] = []

    @rule()
    def an_object_arrives(self) -> None:
        self.sent += 1
        self.desk.arrive(self.sent)

    @precondition(lambda self: self.sent)
    @rule()
    def it_settles(self) -> None:
        record = self.desk.catalogue.series(SERIES)
        assert record is not None
        if record.state is State.RECEIVING:
            assert self.desk.complete(record.revision) is State.READY

    @rule()
    def a_worker_claims(self) -> None:
        for kind in JobKind:
            job = self.desk.catalogue.claim(kind, f"owner {len(self.jobs)}", 60)
            if job is not None:
                self.jobs.append(job)

    @rule()
    def time_passes(self) -> None:
        self.desk.clock.now += 45

    @precondition(lambda self: self.jobs)
    @rule()
    def a_worker_finishes(self) -> None:
        job = self.jobs.pop(0)
        try:
            if job.kind is JobKind.JUDGE:
                self.desk.catalogue.finish_judging(job, {"owner": job.owner}, verdict="ADEQUATE")
            else:
                one = RenderedObject(
                    path=self.desk.catalogue.root / f"{job.revision}",
                    sop_instance_uid=f"2.25.{job.revision}",
                    sop_class_uid="1.2",
                    transfer_syntax=EXPLICIT,
                )
                self.desk.catalogue.finish_rendering(job, [one])
        except JobLost:
            return

    @rule()
    def the_destination_answers(self) -> None:
        rows = self.desk.catalogue.due_outbox("pacs", 2)
        self.desk.catalogue.outbox_results([SendResult(row=row.id, state=Outgoing.SENT, status=0) for row in rows])

    @invariant()
    def one_final_verdict_for_each_revision_and_every_object_once(self) -> None:
        verdicts = [(one.series_uid, one.revision) for one in self.desk.catalogue.verdicts()]
        assert len(verdicts) == len(set(verdicts))
        assert len(self.desk.catalogue.instances_of(SERIES)) == self.sent
        for record in self.desk.catalogue.all_series():
            judged = self.desk.catalogue.assessment(SERIES, record.revision, Status.FINAL) is not None
            assert judged == (record.state not in (State.RECEIVING, State.READY))

    def teardown(self) -> None:
        self.desk.catalogue.close()
        self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = hypothesis_settings(max_examples=10, stateful_step_count=25, deadline=None)
