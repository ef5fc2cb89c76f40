"""`convert`: argparse with a table of functions."""

from __future__ import annotations

import argparse
import csv
import json
import sys


def to_json(source, target):
    json.dump(list(csv.DictReader(source)), target, indent=1)


def to_csv(source, target):
    rows = json.load(source)
    if not rows:
        return
    writer = csv.DictWriter(target, fieldnames=sorted(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def to_text(source, target):
    for line in csv.reader(source):
        target.write(" | ".join(cell.strip() for cell in line) + "\n")


COMMANDS = {"json": to_json, "csv": to_csv, "text": to_text}


def names():
    return COMMANDS


def run():
    parser = argparse.ArgumentParser(prog="convert")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("source")
    arguments = parser.parse_args()
    with open(arguments.source, encoding="utf-8", newline="") as source:
        COMMANDS[arguments.command](source, sys.stdout)
