"""Turned on by environment alone: `python anything.py`, servers, test runners; and what happens when it is not, or cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest
from cli_kit import ENVIRONMENT, hooked, python, spans, without_ours, write

from autoscope.cli.env import site_directory

APP = {
    "app.py": "import helper\ndef f():\n    return helper.g()\nprint(f(), __name__)\n",
    "helper.py": "def g():\n    return len('abc')\n",
}
LISTING = "import sys\nprint(sorted(sys.modules))\nprint(sys.path, [getattr(f, '__name__', type(f)) for f in sys.meta_path], len(sys.path_hooks), sys.flags)\n"


@pytest.mark.parametrize("variables", [
    {"STRATEGY": "balanced"}, {"STRATEGY": "full_trace"}, {"INCLUDE": "app,helper"}, {"INCLUDE": "__main__,h*"}, {"PLAN": "plan.yaml"},
])  # fmt: skip
def test_a_script(variables, tmp_path):
    write(tmp_path, {**APP, "plan.yaml": "version: 1\nstrategy: full_trace\n"})
    done = python("app.py", cwd=tmp_path, env=hooked(tmp_path / "s", **variables))
    assert done == (b"3 __main__\n", b"", 0)
    assert spans(tmp_path / "s") == ["__main__.f", "helper.g"]


def test_a_module_run_as_main(tmp_path):
    write(tmp_path, APP)
    done = python("-m", "app", cwd=tmp_path, env=hooked(tmp_path / "s", STRATEGY="full_trace"))
    assert done == (b"3 __main__\n", b"", 0)
    assert spans(tmp_path / "s") == ["app.f", "helper.g"]


def test_code_on_the_command_line(tmp_path):
    write(tmp_path, APP)
    done = python("-c", "import app", cwd=tmp_path, env=hooked(tmp_path / "s", STRATEGY="full_trace"))
    assert done == (b"3 app\n", b"", 0)
    assert spans(tmp_path / "s") == ["app.f", "helper.g"]


def test_include_and_exclude(tmp_path):
    write(tmp_path, APP)
    python("app.py", cwd=tmp_path, env=hooked(tmp_path / "s", INCLUDE="helper*,__main__", EXCLUDE="app,__main__"))
    assert spans(tmp_path / "s") == ["helper.g"]


def test_a_plan_that_wants_everything_does_not_trace_the_tracing(tmp_path):
    """The library's modules are woven then, those we use too; what we do with them is not the program's doing."""
    write(
        tmp_path, {"app.py": "import json, time\ndef f():\n    return json.loads('[1]')\nf()\ntime.sleep(0.4)\nf()\n"}
    )
    python("app.py", cwd=tmp_path, env=hooked(tmp_path / "s", INCLUDE="*"))
    names = spans(tmp_path / "s")
    assert names.count("__main__.f") == 2
    assert names.count("json.loads") == 2
    assert not [name for name in names if name.startswith(("autoscope", "importlib", "sqlite3"))]
    assert len(names) < 20000  # weaving itself looks up paths


def test_rate_zero_records_nothing(tmp_path):
    write(tmp_path, APP)
    done = python("app.py", cwd=tmp_path, env=hooked(tmp_path / "s", STRATEGY="full_trace", RATE="0"))
    assert done == (b"3 __main__\n", b"", 0)
    assert spans(tmp_path / "s") == []


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DISABLED": "1", "STRATEGY": "balanced"},
        {"STRATEGY": ""},
        {"STORE": "x"},
        {"PREFIX": "/elsewhere", "STRATEGY": "balanced"},
    ],
)
@pytest.mark.parametrize("flags", [[], ["-P"], ["-s"], ["-O"]])
def test_nothing_is_imported_where_nothing_is_asked(variables, flags, tmp_path):
    write(tmp_path, {"app.py": LISTING})
    assert python(*flags, "app.py", cwd=tmp_path, env=hooked("", **variables)) == python(*flags, "app.py", cwd=tmp_path)


def test_disabled_by_zero_is_not_disabled(tmp_path):
    write(tmp_path, APP)
    python("app.py", cwd=tmp_path, env=hooked(tmp_path / "s", STRATEGY="full_trace", DISABLED="0"))
    assert spans(tmp_path / "s") == ["__main__.f", "helper.g"]


def test_the_path_is_as_without_us_when_tracing(tmp_path):
    write(
        tmp_path, {"app.py": "import sys\nprint(sys.path, [h for h in sys.path_hooks], 'sitecustomize' in sys.modules)"}
    )
    rest = str(tmp_path / "rest")
    traced = hooked("", STRATEGY="full_trace")
    traced["PYTHONPATH"] += os.pathsep + rest
    one = python("app.py", cwd=tmp_path, env=traced)
    other = python("app.py", cwd=tmp_path, env={"PYTHONPATH": rest})
    mask = lambda text: text.split(b"0x")[0]  # noqa: E731
    assert mask(one.stdout) == mask(other.stdout)


SITES = {
    "prints": "import sys\nprint('theirs', __name__, __file__)\nsys.theirs = True\n",
    "raises": "print('theirs')\n1 / 0\n",
    "cannot import": "import no_such_module_here\n",
    "syntax error": "def f(:\n",
    "exits": "import sys\nsys.exit(3)\n",
    "package": "",
}


@pytest.mark.parametrize("tracing", [False, True])
@pytest.mark.parametrize("name", SITES)
def test_the_users_own_sitecustomize_runs_as_before(name, tracing, tmp_path):
    write(
        tmp_path,
        {**APP, ("theirs/sitecustomize/__init__.py" if name == "package" else "theirs/sitecustomize.py"): SITES[name]},
    )
    theirs = str(tmp_path / "theirs")
    variables = hooked("", **({"STRATEGY": "balanced"} if tracing else {}))
    variables["PYTHONPATH"] += os.pathsep + theirs
    program = ["-c", "import sys; m = sys.modules.get('sitecustomize'); print(m and m.__file__, sys.path)"]
    one, other = (
        python(*program, cwd=tmp_path, env=variables),
        python(*program, cwd=tmp_path, env={"PYTHONPATH": theirs}),
    )
    if name == "exits":  # a fatal error, whose traceback goes through ours
        one, other = (out._replace(stderr=b"SystemExit: 3" in out.stderr) for out in (one, other))
    assert one == other


def test_the_users_usercustomize_runs(tmp_path):
    write(tmp_path, {**APP, "theirs/usercustomize.py": "print('theirs')"})
    variables = hooked("", STRATEGY="balanced")
    variables["PYTHONPATH"] += os.pathsep + str(tmp_path / "theirs")
    done = python("app.py", cwd=tmp_path, env=variables)
    assert done == python("app.py", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "theirs")})


@pytest.mark.parametrize("variables", [
    {"PLAN": "nope.yaml"}, {"PLAN": "bad.yaml"}, {"PLAN": "resolved.json"}, {"PLAN": "."}, {"STRATEGY": "loud"},
    {"STRATEGY": "balanced", "RATE": "lots"}, {"INCLUDE": "a b"}, {"STRATEGY": "balanced", "BUDGET": "x"},
])  # fmt: skip
@pytest.mark.parametrize("strict", ["", "1"])
def test_a_plan_that_cannot_be_used_costs_one_line(variables, strict, tmp_path):
    write(tmp_path, {**APP, "bad.yaml": "version: 1\nnope: [", "resolved.json": '{"autoscope_resolved": 1, "x"'})
    env = {**hooked(tmp_path / "s", **variables), "AUTOSCOPE_STRICT": strict}
    if strict and variables.get("PLAN") == "resolved.json":
        pytest.skip("a damaged file of our own making is our failure")
    done = python("app.py", cwd=tmp_path, env=env)
    assert (done.stdout, done.code) == (b"3 __main__\n", 0)
    assert without_ours(done.stderr) == b""
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "s").exists()


def test_the_sdk_disabled_for_all(tmp_path):
    write(tmp_path, APP)
    done = python(
        "app.py", cwd=tmp_path, env={**hooked(tmp_path / "s", STRATEGY="balanced"), "OTEL_SDK_DISABLED": "true"}
    )
    assert (done.stdout, done.code) == (b"3 __main__\n", 0)
    assert without_ours(done.stderr) == b""
    assert not (tmp_path / "s").exists()


def test_a_virtual_environment_without_us_is_left_alone(tmp_path):
    """The variables reach every child; an interpreter that cannot import autoscope says nothing about it."""
    write(tmp_path, {"app.py": LISTING})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True, timeout=60)
    other = tmp_path / "v" / "bin" / "python"
    env = {**hooked(tmp_path / "s", STRATEGY="balanced"), "AUTOSCOPE_PREFIX": sys.prefix}
    runs = [
        subprocess.run([other, "app.py"], cwd=tmp_path, env={**ENVIRONMENT, **more}, capture_output=True, timeout=60)
        for more in (env, {})
    ]
    assert (runs[0].stdout, runs[0].stderr) == (runs[1].stdout, runs[1].stderr)


def test_env_is_read_by_a_shell(tmp_path):
    write(tmp_path, {**APP, "my plan's.yaml": "version: 1\nstrategy: full_trace\n"})
    script = f"""
    eval "$({sys.executable} -m autoscope env --plan "my plan's.yaml" --store 's t' --exclude helper)" && {sys.executable} app.py
    """
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("3 __main__\n", "")
    assert spans(tmp_path / "s t") == ["__main__.f"]


def test_env_keeps_what_was_on_the_path(tmp_path):
    import json

    done = python(
        "-m",
        "autoscope",
        "env",
        "--format",
        "json",
        cwd=tmp_path,
        env={"PYTHONPATH": f"/a{os.pathsep}{site_directory()}{os.pathsep}/b"},
    )
    lines = json.loads(done.stdout)
    assert lines["PYTHONPATH"].split(os.pathsep) == [site_directory(), "/a", "/b"]
    assert lines["AUTOSCOPE_STRATEGY"] == "balanced"


@pytest.mark.parametrize(
    "options", [["--plan", "nope.yaml"], ["--strategy", "loud"], ["--rate", "x"], ["extra"], ["--format", "xml"]]
)
def test_env_refuses_in_one_line(options, tmp_path):
    done = python("-m", "autoscope", "env", *options, cwd=tmp_path)
    assert (done.stdout, done.code, done.stderr.count(b"\n")) == (b"", 2, 1)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_gunicorn_with_two_workers(tmp_path):
    """A pre-forking server: each worker's requests are recorded by that worker, and are there when it has ended."""
    pytest.importorskip("gunicorn")
    write(tmp_path, {"app.py": """
        import os
        def body(path):
            return f"{path} {os.getpid()}".encode()
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [body(environ["PATH_INFO"])]
        """})  # fmt: skip
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "--log-level", "info", "app:app"],
        cwd=tmp_path, env={**ENVIRONMENT, **hooked(tmp_path / "s", STRATEGY="full_trace")}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said, booted = [], 0
        assert server.stderr is not None
        for line in server.stderr:
            said.append(line)
            booted += "Booting worker" in line
            if booted == 2:
                break
        assert booted == 2, said
        pids = set()
        for number in range(60):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=20) as answer:
                pids.add(answer.read().split()[1])
        server.send_signal(signal.SIGTERM)
        rest = server.communicate(timeout=60)[1]
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    assert server.returncode == 0, rest
    assert not [line for line in (*said, rest) if "autoscope" in line or "Traceback" in line]
    assert spans(tmp_path / "s") == ["app.app"] * 60 + ["app.body"] * 60
    assert len(pids) >= 1


def test_pytest_on_a_project(tmp_path):
    """Its assertion rewriting still tells why, and the code under test is recorded, the tests too."""
    files = {
        "shop.py": "def total(prices):\n    return sum(prices)\n",
        "test_shop.py": "import shop\ndef test_good():\n    assert shop.total([1, 2]) == 3\ndef test_bad():\n    have = shop.total([1])\n    assert have == 2\n",
        "conftest.py": "import pytest\n@pytest.fixture\ndef price():\n    return len('abc')\n",
    }
    write(tmp_path, files)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:asyncio"]
    plain = python(*command, cwd=tmp_path)
    traced = python(*command, cwd=tmp_path, env=hooked(tmp_path / "s", STRATEGY="full_trace"))
    timeless = lambda out: [line for line in out.splitlines() if b" in " not in line]  # noqa: E731
    assert timeless(traced.stdout) == timeless(plain.stdout)
    assert (traced.stderr, traced.code) == (plain.stderr, plain.code) == (b"", 1)
    assert b"assert 1 == 2" in traced.stdout
    assert spans(tmp_path / "s") == ["shop.total"] * 2 + ["test_shop.test_bad", "test_shop.test_good"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    root = Path(site_directory())
    if not (root / "pyproject.toml").is_file():
        pytest.skip("not a checkout")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=100)
    return next(out.glob("*.whl"))


def test_a_wheel_puts_nothing_beside_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"autoscope"}
    assert "autoscope/site/sitecustomize.py" in names
    assert "autoscope/py.typed" in names
    assert any(name.startswith("autoscope/presets/") for name in names)


def test_an_installed_wheel_turns_on_by_env(wheel, tmp_path):
    """Unpacked as pip would into site-packages of an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True, timeout=60)
    (packages,) = (tmp_path / "v" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    import yaml

    (packages / "yaml").symlink_to(Path(yaml.__file__).parent)
    interpreter = tmp_path / "v" / "bin" / "python"
    write(tmp_path / "app", APP)
    (tmp_path / "app" / "plan.yaml").write_text("version: 1\nextends: autoscope:full_trace\n")

    def shell(script: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", script], cwd=tmp_path / "app", env={**ENVIRONMENT, "AUTOSCOPE_STRICT": "1", **env},
                              capture_output=True, text=True, timeout=60)  # fmt: skip

    done = shell(f'eval "$({interpreter} -m autoscope env --plan plan.yaml --store s)" && {interpreter} app.py')
    assert (done.stdout, done.stderr) == ("3 __main__\n", "")
    assert spans(tmp_path / "app" / "s") == ["__main__.f", "helper.g"]
    done = shell(f"{interpreter} -m autoscope run --quiet --store t app.py")
    assert (done.stdout, done.stderr) == ("3 __main__\n", "")
    assert spans(tmp_path / "app" / "t") == ["__main__.f", "helper.g"]
    (packages / "sitecustomize.py").write_text("print('the distribution')\n")
    done = shell(f"{interpreter} -m autoscope run --quiet --store u app.py")
    assert done.stdout.endswith("the distribution\n3 __main__\n")


@pytest.mark.parametrize("glob", ["*_app", "[a]pp", "?pp", "__main*__", "a*p*"])
def test_globs_of_every_shape_are_understood_while_importing(tmp_path, glob):
    """What it takes to understand them is imported before imports are watched."""
    write(
        tmp_path,
        {"app.py": "import my_app, app2, fractions\n", "my_app.py": "def f(): return len('x')\nf()\n", "app2.py": ""},
    )
    plan = {
        "version": 1,
        "strategy": "full_trace",
        "include": [glob, "my_app"],
        "modules": {"*_a[p]p": {"functions": {"f*": {"rate": 1.0}}}},
    }
    (tmp_path / "plan.yaml").write_text(json.dumps(plan))
    done = python("app.py", cwd=tmp_path, env=hooked(tmp_path / "s", PLAN=str(tmp_path / "plan.yaml")))
    assert (done.code, done.stderr) == (0, b"")
    assert spans(tmp_path / "s") == ["my_app.f"]


@pytest.mark.parametrize("name", ["__main__", "app"])
def test_the_script_can_be_excluded_by_either_name(tmp_path, name):
    """As `__main__`, which it is, and as its file is called."""
    write(
        tmp_path,
        {
            "app.py": "import other\ndef f(): return len('x')\nf()\nother.g()\n",
            "other.py": "def g(): return len('y')\n",
        },
    )
    done = python("app.py", cwd=tmp_path, env=hooked(tmp_path / "s", STRATEGY="full_trace", EXCLUDE=name))
    assert (done.code, done.stderr) == (0, b"")
    assert spans(tmp_path / "s") == ["other.g"]
