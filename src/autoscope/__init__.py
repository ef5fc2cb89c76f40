"""autoscope shows what a Python program's own functions do, as OpenTelemetry spans, without a line of it changing."""

__version__ = "0.1.0"
