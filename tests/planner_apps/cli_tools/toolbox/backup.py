"""`backup`: argparse with subcommands that bring their functions."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import time
from pathlib import Path


def make(arguments):
    name = time.strftime("%Y-%m-%d.tar.gz")
    with tarfile.open(arguments.target / name, "w:gz") as archive:
        for path in arguments.paths:
            archive.add(path)
    return 0


def restore(arguments):
    with tarfile.open(arguments.archive) as archive:
        members = [member for member in archive.getmembers() if wanted(member.name, arguments.only)]
        archive.extractall(arguments.target, members=members)
    return 0 if members else 1


def push(arguments):
    result = subprocess.run(["rsync", "-a", str(arguments.target), arguments.host], check=False)
    if result.returncode:
        print(f"rsync failed: {result.returncode}", file=sys.stderr)
    return result.returncode


def wanted(name, patterns):
    if not patterns:
        return True
    return any(Path(name).match(pattern) for pattern in patterns)


def parser():
    top = argparse.ArgumentParser(prog="backup")
    top.add_argument("--target", type=Path, default=Path("backups"))
    commands = top.add_subparsers(required=True)
    one = commands.add_parser("make")
    one.add_argument("paths", nargs="+")
    one.set_defaults(func=make)
    two = commands.add_parser("restore")
    two.add_argument("archive")
    two.add_argument("--only", action="append")
    two.set_defaults(func=restore)
    three = commands.add_parser("push")
    three.add_argument("host")
    three.set_defaults(func=push)
    return top


def main(argv=None):
    arguments = parser().parse_args(argv)
    try:
        return arguments.func(arguments)
    except OSError as error:
        print(f"backup: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
