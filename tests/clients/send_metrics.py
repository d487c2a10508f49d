"""OpenTelemetry's SDK from PyPI, set up by its environment alone: counts, measures and sends.

With `refused` as its argument it sends what is not taken instead, and prints what becomes of it."""

import sys
import time

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult


def provider(**how):
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(**how), export_interval_millis=1e9)
    return MeterProvider(metric_readers=[reader])


def sent():
    metrics = provider()
    meter = metrics.get_meter("shop", "1.2")
    orders = meter.create_counter("shop.orders", unit="{order}")
    duration = meter.create_histogram(
        "http.server.request.duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1]
    )
    temperature = meter.create_gauge("room.temperature", unit="Cel")
    for times in (1, 2):
        orders.add(times, {"payment.kind": "card"})
        duration.record(0.05, {"http.route": "/a"})
        duration.record(5, {"http.route": "/a"})
        temperature.set(20.5 + times)
        # Totals have a time each, in milliseconds.
        time.sleep(0.01)
        assert metrics.force_flush()
    metrics.shutdown()


def refused():
    exponential = provider(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    exponential.get_meter("shop").create_histogram("latency", unit="s").record(0.5)
    exponential.force_flush()
    begun = time.monotonic()
    span = TracerProvider().get_tracer("shop").start_span("buy")
    span.end()
    assert OTLPSpanExporter().export([span]) is SpanExportResult.FAILURE
    # Whoever sends again waits for longer than that, and gives up after ten seconds.
    print("traces given up at once", time.monotonic() - begun < 5)
    logs = LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
    logs.get_logger("shop").emit(body="bought")
    logs.shutdown()
    print("logs given up at once", time.monotonic() - begun < 5)


refused() if "refused" in sys.argv else sent()
