"""What a garbage collection calls may be woven, and the collection may begin anywhere."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import contextvars
    import gc
    import weakref

    variables = [contextvars.ContextVar(f"v{number}") for number in range(20)]
    for variable in variables:
        variable.set(0)


    def numbers():
        yield 1
        yield 2


    class Thing:
        def __del__(self):
            self.ended = True


    def called(reference):
        return reference


    class Listed(list):
        pass


    kept = []


    def abandon(kind):
        made = [numbers() if kind == "generator" else Thing()]
        if kind == "generator":
            next(made[0])
        elif kind == "callback":
            made[0] = Listed()
            kept.append(weakref.ref(made[0], called))
            made[0].append(made)
        made.append(made)


    def main(kind):
        for number in range(3000):
            gc.disable()
            abandon(kind)
            variable = variables[number % 20]
            # So that the collection begins now at this, now at that allocation of what follows.
            gc.set_threshold(gc.get_count()[0] + number % 9, 0, 0)
            gc.enable()
            variable.set(number)
            assert variable.get() == number
        print("survived")


    main("KIND")
"""


@pytest.mark.parametrize("kind", ["generator", "destructor", "callback"])
def test_a_collection_in_the_middle_of_setting_a_context_variable(tmp_path, kind):
    """Up to Python 3.11 the interpreter reads a context's variables there without holding them, and a woven call replaces them."""
    (tmp_path / "app.py").write_text(textwrap.dedent(PROGRAM).replace("KIND", kind))
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-m", "autoscope", "run", "--quiet", "--strategy", "full_trace", "app.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "survived\n", "")
