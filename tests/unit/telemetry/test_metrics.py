"""Figures of one process; each text says what a rise means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.metrics import CONTENT_TYPE, Metrics


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_outcomes_are_counted_by_axis() -> None:
    metrics = Metrics()
    for word in ("delivered", "delivered", "uncertain"):
        metrics.attempted("vxp", word, 0.2)
    assert sample(metrics, "edoc_attempts_total", axis="vxp", outcome="delivered") == 2
    assert sample(metrics, "edoc_attempts_total", axis="vxp", outcome="uncertain") == 1
    assert sample(metrics, "edoc_attempt_seconds_count", axis="vxp") == 3


def test_the_age_of_a_workers_last_turn_counts_up_by_itself() -> None:
    clock = Clock()
    metrics = Metrics(monotonic=clock)
    metrics.worker_turned("seal", 0.01)
    clock.now = 130.0
    assert sample(metrics, "edoc_worker_idle_seconds", worker="seal") == 30
    metrics.worker_turned("seal", 0.01)
    assert sample(metrics, "edoc_worker_idle_seconds", worker="seal") == 0


def test_two_gateways_in_one_process_do_not_share_figures() -> None:
    one, two = Metrics(), Metrics()
    one.accepted("document", 0.004)
    assert sample(one, "edoc_accepted_total", kind="document") == 1
    assert sample(two, "edoc_accepted_total", kind="document") is None


def test_what_waits_is_set_and_what_is_not_measured_stays() -> None:
    metrics = Metrics()
    metrics.waits(oldest_unsealed_seconds=1.5, held=2, quarantined=1, inbox=7, orphans=4)
    metrics.waits(held=0)
    metrics.lane_waits("vxp", 3, backlog=3, oldest_due_seconds=-1)
    metrics.lane_waits("vxp", 0, backlog=1, oldest_due_seconds=9)
    metrics.dead("vxp", "EXPIRED", 2)
    assert sample(metrics, "edoc_oldest_unsealed_seconds") == 1.5
    assert sample(metrics, "edoc_held") == 0
    assert sample(metrics, "edoc_quarantined") == 1
    assert sample(metrics, "edoc_inbox_waiting") == 7
    assert sample(metrics, "edoc_orphans") == 4
    assert sample(metrics, "edoc_backlog", axis="vxp", lane="3") == 3
    assert sample(metrics, "edoc_oldest_due_seconds", axis="vxp", lane="3") == 0
    assert sample(metrics, "edoc_oldest_due_seconds", axis="vxp", lane="0") == 9
    assert sample(metrics, "edoc_dead", axis="vxp", state="EXPIRED") == 2


def test_a_snapshot_is_shown_only_where_a_database_could_be_asked() -> None:
    metrics = Metrics()
    assert b"edoc_database_snapshot_seconds{" not in metrics.expose()
    metrics.snapshot("postgresql", 12.5)
    assert sample(metrics, "edoc_database_snapshot_seconds", database="postgresql") == 12.5


def test_a_breaker_is_a_number_and_an_unknown_word_is_refused() -> None:
    metrics = Metrics()
    for word, number in (("closed", 0), ("half_open", 1), ("open", 2)):
        metrics.breaker("vxp", word)
        assert sample(metrics, "edoc_breaker_state", axis="vxp") == number
    with pytest.raises(ValueError, match="not in tuple"):
        metrics.breaker("vxp", "ajar")


def test_an_alarm_of_an_axis_is_counted_by_cause_and_never_by_its_own_words() -> None:
    metrics = Metrics()
    for code in ("connect.certificate", "http.401", "http.403", "vxp.anything they like"):
        metrics.alarmed("vxp", code)
    counted = {
        cause: sample(metrics, "edoc_axis_alarms_total", axis="vxp", cause=cause)
        for cause in ("certificate", "account", "other")
    }
    assert counted == {"certificate": 1, "account": 2, "other": 1}


def test_workers_that_turned_since_a_moment_are_known() -> None:
    clock = Clock()
    metrics = Metrics(monotonic=clock)
    metrics.worker_turned("seal", 0.01)
    clock.now = 110.0
    metrics.worker_turned("open", 0.01)
    assert metrics.turned_since(float("-inf")) == ["seal", "open"]
    assert metrics.turned_since(105.0) == ["open"]


def test_the_remaining_figures_count_what_they_name() -> None:
    metrics = Metrics()
    metrics.refused("submission.invalid")
    metrics.sealed(5)
    metrics.stamped(datetime(2026, 11, 20, tzinfo=UTC))
    metrics.collected("vxp", 3, 1)
    metrics.delivered("vxp", 0.5)
    metrics.requested("/v1/documents/{id}", 404, 0.01)
    assert sample(metrics, "edoc_refused_total", code="submission.invalid") == 1
    assert sample(metrics, "edoc_records_sealed_total") == 5
    assert sample(metrics, "edoc_last_stamp_timestamp_seconds") == 1795132800
    assert sample(metrics, "edoc_fetched_total", axis="vxp", result="failed") == 1
    assert sample(metrics, "edoc_delivery_seconds_sum", axis="vxp") == 0.5
    labels = {"route": "/v1/documents/{id}", "status": "4xx"}
    assert sample(metrics, "edoc_request_seconds_count", **labels) == 1


def test_every_figure_of_ours_says_what_a_change_means() -> None:
    families = list(text_string_to_metric_families(Metrics().expose().decode()))
    ours = [f for f in families if f.name.startswith("edoc_")]
    assert len(ours) > 15
    assert [f.name for f in ours if "If " not in f.documentation] == []
    assert CONTENT_TYPE.startswith("text/plain")
