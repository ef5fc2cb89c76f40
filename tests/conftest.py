"""What every test may rely on: sites, finder and context as a fresh process has them, our own failures loud."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile

import pytest

# A shell starts what it puts in the background with SIGINT ignored, and our tests' programs would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["AUTOSCOPE_STRICT"] = "1"
# A traced suite would trace the tests' own woven code.
for _name in [name for name in os.environ if name.startswith(("AUTOSCOPE_", "OTEL_")) and name != "AUTOSCOPE_STRICT"]:
    del os.environ[_name]
# One code cache for the whole suite, and not the user's; what pip has stays where it is.
os.environ.setdefault("PIP_CACHE_DIR", os.path.expanduser("~/.cache/pip"))
# And sockets of its own: `autoscope ps` in a test sees the suite's processes alone.
_runtime = os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="asr-")
_cache = os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="autoscope-cache-")


def _remove(owner: int = os.getpid()) -> None:
    if os.getpid() == owner:
        shutil.rmtree(_cache, ignore_errors=True)
        shutil.rmtree(_runtime, ignore_errors=True)


atexit.register(_remove)


@pytest.fixture(autouse=True)
def as_in_a_fresh_process():
    """Nothing a test weaves, records or installs is seen by the next."""
    meta_path = list(sys.meta_path)
    path = list(sys.path)
    modules = set(sys.modules)
    yield
    bootstrap = sys.modules.get("autoscope.bootstrap")
    if bootstrap is not None:
        bootstrap.stop()
    sites = sys.modules.get("autoscope.runtime.sites")
    if sites is not None:
        from autoscope import errors
        from autoscope.runtime import context
        from autoscope.weave import weaver

        sites.reset()
        weaver.reset()
        errors.notices.clear()
        context.current.set(None)
    sys.meta_path[:] = meta_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "pytest-of" in file:
            del sys.modules[name]
