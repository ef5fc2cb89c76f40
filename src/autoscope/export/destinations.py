"""Where a process's spans go, decided once there is something to send.

The application's own `TracerProvider` if it has set one, else OTLP if an endpoint is configured; and the local store where
it was asked for or where there is no endpoint.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from autoscope.errors import notice
from autoscope.export import DEFAULT_STORE
from autoscope.export.behind import Behind
from autoscope.ours import keep_builtins
from autoscope.runtime import library
from autoscope.runtime.drain import DEFAULT_QUEUE, Exporter

keep_builtins(globals())


class Provider:
    """The application's provider where there is one, else `otherwise` (which may be nothing)."""

    def __init__(self, otherwise: Exporter | None, queue: int = DEFAULT_QUEUE) -> None:
        self.otherwise = otherwise
        self.queue = queue
        self.bridge: Any = None

    @property
    def exported(self) -> int:
        return sum(exporter.exported for exporter in (self.bridge, self.otherwise) if exporter is not None)

    @property
    def dropped(self) -> int:
        return sum(exporter.dropped for exporter in (self.bridge, self.otherwise) if exporter is not None)

    def export(self, records: list[Any]) -> None:
        if self.bridge is None and "opentelemetry.sdk.trace" in sys.modules:
            self.find_bridge()
        exporter = self.bridge or self.otherwise
        if exporter is not None:
            exporter.export(records)

    def find_bridge(self) -> None:
        try:
            from autoscope.export import bridge

            provider = bridge.application_provider()
            if provider is not None:
                # A processor of the program's may wait for a network, and must not keep the drain from its work.
                self.bridge = Behind(bridge.Bridge(provider), self.queue)
        except (ImportError, AttributeError) as error:
            notice("otel-unknown", f"this OpenTelemetry is not one known here: {error}; its provider gets no spans")

    def close(self, deadline_seconds: float) -> None:
        for exporter in (self.bridge, self.otherwise):
            if exporter is not None:
                exporter.close(deadline_seconds)

    @property
    def cpu_ns(self) -> int:
        """CPU time of the threads behind this one."""
        return sum(getattr(exporter, "cpu_ns", 0) for exporter in (self.bridge, self.otherwise))

    def flush(self, seconds: float) -> bool:
        """Have what was handed over sent, or given to the provider's processors; False if that took longer."""
        settle = [getattr(exporter, "flush", None) for exporter in (self.bridge, self.otherwise)]
        return False not in [flush(seconds) for flush in settle if flush is not None]

    def hurry(self, seconds: float) -> None:
        for exporter in (self.bridge, self.otherwise):
            hurry = getattr(exporter, "hurry", None)
            if hurry is not None:
                hurry(seconds)

    def before_fork(self) -> None:
        for exporter in (self.bridge, self.otherwise):
            settle = getattr(exporter, "before_fork", None)
            if settle is not None:
                settle()

    def after_fork(self) -> None:
        for exporter in (self.bridge, self.otherwise):
            if exporter is not None:
                exporter.after_fork()


def destinations(
    store: str | None, run_id: str, info: dict[str, Any], otlp: str | None = None, default: str = DEFAULT_STORE
) -> list[Exporter]:
    """The exporters of this process. `store` is a directory, None for `default` where there is no endpoint, `""` for none."""
    from autoscope.export import resource
    from autoscope.export.settings import Settings

    settings = Settings.from_environ(os.environ, endpoint=otlp)
    sender: Exporter | None = None
    if settings.otlp_wanted:
        from autoscope.export.otlp import OtlpExporter

        for name in library.NETWORK:  # now: a process forked while its sender imports could never import that again
            library.library(name)
        sender = Behind(OtlpExporter(settings), settings.max_queue_size or DEFAULT_QUEUE)
    found: list[Exporter] = [Provider(sender, settings.max_queue_size or DEFAULT_QUEUE)]
    if settings.console_wanted:
        from autoscope.export.console import ConsoleExporter

        found.append(ConsoleExporter(settings))
    asked_for_nothing = settings.exporters == ()
    if store or (store is None and sender is None and not found[1:] and not asked_for_nothing):
        from autoscope.export.runs import KEEP_RUNS, absolute, exists, prune
        from autoscope.export.store import StoreExporter

        directory = absolute(store or default)
        if not exists(os.path.join(directory, "runs", run_id)):
            prune(directory, KEEP_RUNS - 1)  # a run begins here, unless `autoscope run` has begun it
        found.append(StoreExporter(directory, run_id=run_id, resource=resource.attributes(settings), info=info))
    return found
