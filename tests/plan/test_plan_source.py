"""Which files there are, what each is called, and why some are left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoscope.errors import AutoscopeError
from autoscope.plan.source import MOST_BYTES, Source, Unreadable, decode, find, generated, read


def plant(top: Path, files: str) -> None:
    """Make these files; `a -> b` is a symbolic link, `a/` an empty directory."""
    for line in files.replace(" -> ", "->").split():
        name, _, target = line.partition("->")
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        elif name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text("")


def names(top: Path, *paths: str) -> dict[str, str]:
    """Module name -> file, below `top`."""
    sources, _ = find([str(top / path) for path in paths])
    return {source.module: os.path.relpath(source.path, top.resolve()) for source in sources}


def left_out(top: Path, *paths: str) -> dict[str, str]:
    """File or directory -> reason, both without `top`."""
    real = str(top.resolve())
    _, left = find([str(top / path) for path in paths])
    return {os.path.relpath(path, real): why.replace(real + "/", "") for path, why in left}


@pytest.mark.parametrize(
    ("files", "given", "expected"),
    [
        ("shop/__init__.py shop/cart.py", ".", "shop shop.cart"),
        ("shop/__init__.py shop/cart.py", "shop", "shop shop.cart"),
        ("shop/__init__.py shop/cart.py", "shop/cart.py", "shop.cart"),
        ("shop/__init__.py shop/pay/__init__.py shop/pay/card.py", "shop/pay", "shop.pay shop.pay.card"),
        ("shop/__init__.py shop/__main__.py", "shop", "shop shop.__main__"),
        ("app.py", "app.py", "app"),
        ("window.pyw", ".", "window"),
        ("src/shop/__init__.py src/shop/cart.py src/one.py", ".", "one shop shop.cart"),
        ("src/shop/__init__.py", "src", "shop"),
        ("src/__init__.py src/cart.py", ".", "src src.cart"),
        ("shop/__init__.py shop/src/cart.py", ".", "shop shop.src.cart"),
        ("tools/make.py tools/deep/er.py", ".", "tools.deep.er tools.make"),
        ("tools/make.py", "tools", "make"),
        ("shop/__init__.py shop/plugins/pay.py", "shop", "shop shop.plugins.pay"),
        ("shop/__init__.py shop/plugins/pay.py", "shop/plugins", "pay"),
        ("backend/pyproject.toml backend/app/__init__.py backend/app/main.py", ".", "app app.main"),
        ("backend/pyproject.toml backend/src/app/main.py", ".", "app.main"),
        ("mysite/manage.py mysite/mysite/__init__.py mysite/mysite/urls.py", ".", "manage mysite mysite.urls"),
        ("shop/__init__.py shop/setup.py", ".", "shop shop.setup"),
        ("my-scripts/run.py my-scripts/lib/help.py", ".", "lib.help run"),
        ("my-service/shop/__init__.py my-service/shop/cart.py", ".", "shop shop.cart"),
        ("my-repo/__init__.py my-repo/shop/__init__.py my-repo/shop/cart.py", "my-repo/shop", "shop shop.cart"),
        ("2to3.py tools/3d.py", ".", "2to3 3d"),
        ("shop/__init__.py shop/migrations/__init__.py shop/migrations/0001_initial.py", ".",
         "shop shop.migrations shop.migrations.0001_initial"),
        ("my-package/__init__.py", "my-package", "my-package"),
        ("site-packages/shop/__init__.py site-packages/shop/cart.py", "site-packages/shop", "shop shop.cart"),
        ("site-packages/shop/__init__.py site-packages/one.py", "site-packages", "one shop"),
        ("vendor/shop/cart.py", "vendor", "shop.cart"),
        (".hidden/cart.py", ".hidden", "cart"),
        (".hidden.py", ".hidden.py", ""),
        ("café/thé.py", ".", "café.thé"),
        ("readme.md data.json", ".", ""),
    ],
)  # fmt: skip
def test_modules_are_named_as_python_would_import_them(tmp_path, files, given, expected):
    """From the directory that was named, or that their package is in."""
    plant(tmp_path, files)
    assert sorted(expected.split()) == list(names(tmp_path, given))


@pytest.mark.parametrize("layout", ["flat", "src"])
def test_python_does_import_them_by_these_names(tmp_path, layout):
    """Packages, namespace packages, a `__main__`, and names that only `import_module` can say."""
    top = tmp_path / "src" if layout == "src" else tmp_path
    plant(top, "a/__init__.py a/b.py a/c/d.py a/__main__.py e/f.py a/m/__init__.py a/m/0001_first.py g.py")
    found = names(tmp_path, ".")
    code = (
        "import importlib, sys\nfor name in sys.argv[1:]: print(name, importlib.import_module(name).__file__, sep='=')"
    )
    result = subprocess.run([sys.executable, "-c", code, *found], cwd=top, capture_output=True, text=True, check=True)
    imported = dict(line.split("=") for line in result.stdout.splitlines())
    assert {name: os.path.realpath(tmp_path / path) for name, path in found.items()} == {
        name: os.path.realpath(path) for name, path in imported.items()
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (".git/hook.py", {".git": "hidden"}),
        (".tox/a.py", {".tox": "hidden"}),
        (".#cart.py", {".#cart.py": "hidden"}),
        ("env/pyvenv.cfg env/bin/a.py", {"env": "a virtual environment"}),
        ("env/conda-meta/history env/a.py", {"env": "a virtual environment"}),
        ("lib/site-packages/a.py", {"lib/site-packages": "installed packages"}),
        ("dist-packages/a.py", {"dist-packages": "installed packages"}),
        ("web/node_modules/gyp/a.py", {"web/node_modules": "JavaScript packages"}),
        ("setup.py build/lib/a.py", {"build": "built from what is beside it"}),
        ("pyproject.toml dist/a.py", {"dist": "built from what is beside it"}),
        ("setup.cfg shop.egg-info/a.py", {"shop.egg-info": "built from what is beside it"}),
        ("build/a.py", {}),
        ("setup.py shop/build/a.py", {}),
        ("pip/__init__.py pip/_vendor/a.py", {"pip/_vendor": "vendored: other people's code"}),
        ("third_party/a.py", {"third_party": "vendored: other people's code"}),
        ("vendors/a.py", {}),
        ("shop/__pycache__/cart.py", {}),
        ("explore.ipynb", {"explore.ipynb": "a notebook"}),
        ("shop_pb2.py shop_pb2_grpc.py", {"shop_pb2.py": "generated code (protocol buffers)",
                                          "shop_pb2_grpc.py": "generated code (protocol buffers)"}),
        ("_version.py", {}),
        ("a.py b.py -> a.py", {"b.py": "a symbolic link to a.py, which is read there"}),
        ("a/b.py a/loop -> ../a", {"a/loop": "a symbolic link to a, which is read there"}),
        ("a/up -> ..", {"a/up": "a symbolic link to {top}, which is read there"}),
        ("gone.py -> nowhere.py", {"gone.py": "a symbolic link to nothing, or to itself"}),
        ("self.py -> self.py", {"self.py": "a symbolic link to nothing, or to itself"}),
        ("readme -> nowhere", {}),
        ("a -> vendor vendor/b.py", {"a": "a symbolic link to vendor, which is not followed; name that, too, if it is wanted",
                                     "vendor": "vendored: other people's code"}),
        ("setup.py a-b/setup.py", {"setup.py": "also called setup: a-b/setup.py is"}),
        ("foo.py foo/__init__.py", {"foo.py": "also called foo: foo/__init__.py is"}),
        ("copy(1).py", {"copy(1).py": "no plan can name it `copy(1)`; rename it"}),
        ("x[1].py shop/__init__.py shop/*.py", {"shop/*.py": "no plan can name it `shop.*`; rename it",
                                                "x[1].py": "no plan can name it `x[1]`; rename it"}),
        ("\x1b[31m.py", {"\x1b[31m.py": "no plan can name it `\\u001b[31m`; rename it"}),
        ("my-script.py 1.5.py été.py", {}),
    ],
)  # fmt: skip
def test_what_is_left_out_comes_with_its_reason(tmp_path, files, expected):
    """And what is not the author's code is left out, but `__pycache__`, which has nothing of his, without a word."""
    plant(tmp_path, files)
    expected = {name: why.replace("{top}", str(tmp_path.resolve())) for name, why in expected.items()}
    assert expected == left_out(tmp_path, ".")


def test_nothing_is_read_twice_or_missed(tmp_path):
    """Every Python file is a source, or left out, or below what is left out."""
    plant(
        tmp_path,
        "a.py .git/b.py shop/__init__.py shop/c.py shop/vendor/d.py shop/e.ipynb my-x/a.py src/f.py g.py -> a.py",
    )
    sources, left = find([str(tmp_path)])
    paths = [source.path for source in sources] + [path for path, _ in left]
    assert len(set(paths)) == len(paths)
    for file in tmp_path.resolve().rglob("*.py"):
        assert [path for path in paths if str(file) == path or str(file).startswith(path + "/")]


def test_links_out_of_what_was_named(tmp_path):
    """A linked file is a module here; a linked directory is not followed."""
    plant(tmp_path, "other/b.py other/c.py top/b.py -> ../other/b.py top/again.py -> ../other/b.py top/d -> ../other")
    assert {"again": "top/again.py"} == names(tmp_path, "top")
    assert {
        "top/b.py": "a symbolic link to other/b.py, which is read there",
        "top/d": "a symbolic link to other, which is not followed; name that, too, if it is wanted",
    } == left_out(tmp_path, "top")
    assert {"b": "other/b.py", "c": "other/c.py"} == names(tmp_path, "top", "other")


def test_a_named_link_is_followed(tmp_path):
    """And the file is known by its real path."""
    plant(tmp_path, "real/shop/__init__.py link -> real")
    assert {"shop": "real/shop/__init__.py"} == names(tmp_path, "link")


def test_a_path_that_is_named_is_read_whatever_it_is(tmp_path):
    """Beside the directory that would have left it out, which does not report it then."""
    plant(tmp_path, "vendor/a.py .tools/b.py c_pb2.py .tools/d.py")
    assert {"a": "vendor/a.py", "b": ".tools/b.py", "c_pb2": "c_pb2.py"} == names(
        tmp_path, ".", "vendor", "c_pb2.py", ".tools/b.py"
    )
    assert {".tools": "hidden"} == left_out(tmp_path, ".", "vendor", "c_pb2.py", ".tools/b.py")


def test_the_order_of_paths_does_not_matter(tmp_path):
    """Nor do paths that are in others."""
    plant(tmp_path, "tests/help.py shop/__init__.py shop/cart.py vendor/x.py")
    once = find([str(tmp_path), str(tmp_path / "vendor")])
    paths = [str(tmp_path / name) for name in ("vendor", "shop/cart.py", "tests", "shop", "", "vendor/x.py")]
    assert once == find(paths)
    assert ["shop", "shop.cart", "tests.help", "x"] == [source.module for source in once[0]]


def test_sources_are_sorted_by_name(tmp_path):
    """However a file system lists them."""
    plant(tmp_path, "b.py a/z.py a.py c/__init__.py c/a.py")
    sources, _ = find([str(tmp_path)])
    assert ["a", "a.z", "b", "c", "c.a"] == [source.module for source in sources]
    assert [False, False, False, True, False] == [source.is_package for source in sources]


def test_a_source_has_the_stamp_of_its_file(tmp_path):
    """Which is another for every change of it."""
    file = tmp_path / "cart.py"
    file.write_text("pass\n")
    status = file.stat()
    expected = Source(os.path.realpath(file), "cart", 5, (status.st_mtime_ns, 5, status.st_ino), False)
    assert ([expected], []) == find([str(tmp_path)])
    assert ([expected], []) == find([str(file)])
    file.write_text("pass\npass\n")
    assert find([str(file)])[0][0].stamp != expected.stamp


def test_enormous_files_are_left_out(tmp_path):
    """Unread, even when named."""
    (tmp_path / "most.py").write_bytes(b"\n" * MOST_BYTES)
    (tmp_path / "more.py").write_bytes(b"\n" * (MOST_BYTES + 1))
    assert ["most"] == list(names(tmp_path, "."))
    assert {"more.py": "larger than 2 MB: generated code or data"} == left_out(tmp_path, ".")
    assert {"more.py": "larger than 2 MB: generated code or data"} == left_out(tmp_path, "more.py")
    assert MOST_BYTES == len(read(str(tmp_path / "most.py")))
    with pytest.raises(Unreadable, match="^.*: larger than 2 MB: generated code or data$"):
        read(str(tmp_path / "more.py"))


def test_what_is_no_file_is_not_waited_for(tmp_path):
    """A pipe called like a module has nobody at its other end."""
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    assert {"pipe.py": "not a regular file"} == left_out(tmp_path, ".")
    with pytest.raises(Unreadable) as caught:
        read(str(pipe))
    assert "not a regular file" == caught.value.reason


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "gone: there is no such file or directory; name a Python file, or a directory with some"),
        ("gone.py/a", "gone.py/a: there is no such file or directory; name a Python file, or a directory with some"),
        ("nul\0", "nul\\u0000: there is no such file or directory; name a Python file, or a directory with some"),
        ("notes.txt", "notes.txt: not a Python file; name a .py file, or a directory with some"),
        ("data.ipynb", "data.ipynb: a notebook, not a Python file; name a .py file, or a directory with some"),
        ("pipe.py", "pipe.py: not a Python file; name a .py file, or a directory with some"),
        ("circle", "circle: cannot be read: Too many levels of symbolic links; "
         "name a Python file, or a directory with some"),
    ],
)  # fmt: skip
def test_paths_that_cannot_be_used_are_refused(tmp_path, monkeypatch, name, message):
    """In one line: what was asked, why not, what to do."""
    plant(tmp_path, "notes.txt data.ipynb circle -> circle")
    os.mkfifo(tmp_path / "pipe.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AutoscopeError) as caught:
        find([name])
    assert message == str(caught.value).replace(os.path.realpath(tmp_path) + "/", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path):
    """Below what was named it is left out, by name it is refused."""
    plant(tmp_path, "a/b.py c.py")
    (tmp_path / "c.py").chmod(0)
    (tmp_path / "a").chmod(0)
    try:
        assert {"a": "cannot be listed: Permission denied"} == left_out(tmp_path, ".")
        with pytest.raises(AutoscopeError, match="cannot be read: Permission denied; name one this user may read"):
            find([str(tmp_path / "a")])
        with pytest.raises(Unreadable, match="c.py: cannot be read: Permission denied"):
            read(str(tmp_path / "c.py"))
    finally:
        (tmp_path / "a").chmod(0o700)


def test_a_file_that_is_gone_is_unreadable(tmp_path):
    """It may go between being found and being read."""
    plant(tmp_path, "a.py")
    sources, _ = find([str(tmp_path)])
    assert b"" == read(sources[0])
    (tmp_path / "a.py").unlink()
    with pytest.raises(Unreadable) as caught:
        read(sources[0])
    assert "cannot be read: No such file or directory" == caught.value.reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        "name = 'caf\u00e9'\n".encode(),
        b"\xef\xbb\xbf" + "name = 'caf\u00e9'\n".encode(),
        b"\xef\xbb\xbf# coding: utf-8\n" + "name = 'caf\u00e9'\n".encode(),
        b"# -*- coding: latin-1 -*-\nname = 'caf\xe9'\n",
        b"#!/usr/bin/python\n# vim: set fileencoding=iso-8859-15 :\nname = '\xa4'\n",
        b"\f\n# coding=cp1252\nname = '\x80'\n",
        b"# coding: latin-1\rname = 'caf\xe9'\r",
        b"# coding: UTF8\n" + "name = 'caf\u00e9'\n".encode(),
        b"name = 1\n# coding: latin-1\n" + "name = 'caf\u00e9'\n".encode(),
        b"\n\n# coding: latin-1\n" + "name = 'caf\u00e9'\n".encode(),
        b"name = 'coding: latin-1'\n" + "name = 'caf\u00e9'\n".encode(),
        b"# " + b"-" * 5000 + b"\n# coding: latin-1\nname = 'caf\xe9'\n",
    ],
)  # fmt: skip
def test_text_is_decoded_as_python_decodes_it(data):
    """What is assigned to `name` is the same, compiled from our text or from the file's bytes."""
    ours: dict[str, object] = {}
    pythons: dict[str, object] = {}
    exec(decode(data, "a.py"), ours)
    exec(data, pythons)
    assert pythons.get("name") == ours.get("name")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a = 1\nb = 2\nc = '\xff'\n", "not UTF-8 (byte 0xff in line 3); declare its encoding"),
        (b"\xff\xfea\x00", "not UTF-8 (byte 0xff in line 1); declare its encoding"),
        (b"# coding: ascii\nc = '\xe9'\n",
         "not ascii, as it declares (byte 0xe9 in line 2); save it as that, or declare another encoding"),
        (b"# coding: klingon\n", "declared as klingon, which is no text encoding of this Python; save it as UTF-8"),
        (b"# coding: rot13\n", "declared as rot13, which is no text encoding of this Python; save it as UTF-8"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "marked as UTF-8, but declared as latin-1; take one of the two out"),
    ],
)  # fmt: skip
def test_what_cannot_be_decoded_says_why(data, reason):
    """And where, and what to do."""
    with pytest.raises(Unreadable) as caught:
        decode(data, "shop/cart.py")
    assert (reason, "shop/cart.py") == (caught.value.reason, caught.value.path)
    assert f"shop/cart.py: {reason}" == str(caught.value)


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("# Generated by the protocol buffer compiler.  DO NOT EDIT!\n", 1),
        ("# -*- coding: utf-8 -*-\n# Code generated by make_stubs.\n", 2),
        ("#!/usr/bin/env python\n#\n# Autogenerated by Thrift Compiler (0.9.3)\n", 3),
        ("# Generated from Foo.g4 by ANTLR 4.9\nimport sys\n", 1),
        ("# Form implementation generated from reading ui file 'a.ui'\n", 1),
        ("\n# This file was automatically generated by SWIG\n", 2),
        ("# @generated by fbs\n", 1),
        ('"""Names.\n\nThis file is autogenerated by scripts/names.py\n"""\n', 3),
        ('"""Generated by tools/x.py"""\n', 1),
        ("# Copyright\n# Please do not edit this file.\n", 2),
    ],
)
def test_code_that_says_it_is_generated(head, line):
    """In the comments and the docstring it begins with."""
    assert f"generated code, as its line {line} says" == generated(head.encode())


@pytest.mark.parametrize(
    "head",
    [
        "",
        "import os\n# Generated by hand\n",
        "# 1\n# 2\n# 3\n# 4\n# 5\n# Generated by x\n",
        "# Generated by Django 5.2 on 2025-04-02 10:00\n\nfrom django.db import migrations\n",
        '"""\nDjango settings for mysite project.\n\nGenerated by \'django-admin startproject\' using Django 5.2.\n"""\n',
        "# AUTOGENERATED! DO NOT EDIT! File to edit: ../nbs/core.ipynb.\n",
        '"""Checks the tokens generated by the lexer."""\n',
        '"""Code generation from templates."""\n',
        "# Please do not edit the tables below without running the tests\n",
        '"""One line."""\nheader = """\nGenerated by us\n"""\n',
        "@generated\ndef a(): pass\n",
        "\udcff\x00".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_code_that_people_write(head):
    """What talks of generated code, or was generated for people to go on with, is not left out."""
    assert "" == generated(head.encode())
