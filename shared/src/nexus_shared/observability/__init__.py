"""What a service tells about itself: `logs` (one JSON stream), `metrics` (Prometheus), `tracing` (OpenTelemetry)."""
