"""Turns autoscope on by environment: an import and a call, then the sitecustomize this one stands in front of.

With none of the variables set nothing of autoscope's is imported. Interpreters that do not have autoscope (another
virtual environment's, started as a subprocess) are left alone.
"""

import os
import sys


def _start() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    environ = os.environ
    disabled = environ.get("AUTOSCOPE_DISABLED", "0") not in ("", "0")
    wanted = any(environ.get("AUTOSCOPE_" + name) for name in ("PLAN", "STRATEGY", "INCLUDE"))
    prefix = environ.get("AUTOSCOPE_PREFIX", sys.prefix)
    # An installed package has this file two directories below site-packages, a checkout beside `src`.
    root = os.path.join(here, "src")
    checkout = os.path.isdir(os.path.join(root, "autoscope"))
    if not checkout:
        root = os.path.dirname(os.path.dirname(here))
    if wanted and not disabled and prefix == sys.prefix and sys.version_info >= (3, 11):
        path = sys.path[:]
        # What we import is Python's own and installed, whatever the program has of those names.
        sys.path.sort(key=_place)
        try:
            if root in sys.path:
                _import(path, here)
            elif checkout:
                sys.path.append(root)
                _import(path, here)
        finally:
            sys.path[:] = path
    _next(here)


def _place(entry: str) -> int:
    """Where an entry of the path stands while we start: the standard library, what is installed, all else."""
    library = os.path.dirname(os.__file__)
    if entry == library or entry == os.path.join(library, "lib-dynload"):
        return 0
    return 1 if entry.endswith(("site-packages", "dist-packages")) else 2


def _import(path: list[str], here: str) -> None:
    before = set(sys.modules)
    try:
        from autoscope.bootstrap import start_from_environment

        start_from_environment(before, [entry for entry in path if _place(entry) == 2 and entry != here])
    except Exception as error:
        if os.environ.get("AUTOSCOPE_STRICT"):
            raise
        message = f"autoscope: the program runs untraced: {type(error).__name__}: {error} (start-failed)\n"
        os.write(2, message.encode("utf-8", "backslashreplace"))


def _next(here: str) -> None:
    """Run the user's or the distribution's own sitecustomize, as if this one were not there.

    Where there is none the ImportError goes on to `site`, which expects it: nothing of ours stays in `sys.modules`.
    """
    # What lies beside this file is not the program's to import.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    sys.modules.pop("sitecustomize", None)
    import sitecustomize  # noqa: F401


_start()
