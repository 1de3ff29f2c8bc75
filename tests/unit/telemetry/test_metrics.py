"""Figures of one process; each text says what a rise means."""

from __future__ import annotations

from datetime import UTC, datetime

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
    metrics.waits(oldest_unsealed_seconds=1.5, held=2, quarantined=1, inbox=7)
    metrics.waits(held=0)
    metrics.axis_waits("vxp", backlog=3, oldest_due_seconds=-1)
    assert sample(metrics, "edoc_oldest_unsealed_seconds") == 1.5
    assert sample(metrics, "edoc_held") == 0
    assert sample(metrics, "edoc_quarantined") == 1
    assert sample(metrics, "edoc_inbox_waiting") == 7
    assert sample(metrics, "edoc_backlog", axis="vxp") == 3
    assert sample(metrics, "edoc_oldest_due_seconds", axis="vxp") == 0


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
