"""`notes`: keeps notes, with typer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer()
console = Console()


@dataclass
class Book:
    path: Path
    notes: list[str] = field(default_factory=list)

    @property
    def count(self):
        return len(self.notes)

    def load(self):
        if self.path.exists():
            self.notes = json.loads(self.path.read_text())
        return self

    def save(self):
        self.path.write_text(json.dumps(self.notes, indent=1))


def book():
    return Book(Path.home() / ".notes.json").load()


@app.callback()
def settings(verbose: bool = False):
    console.quiet = not verbose


@app.command()
def add(text: Annotated[str, typer.Argument()]):
    notes = book()
    notes.notes.append(text)
    notes.save()
    console.print(f"{notes.count} notes")


@app.command("find")
def find_notes(word: str, most: int = 10):
    found = [(score(note, word), note) for note in book().notes]
    found.sort(reverse=True)
    for points, note in found[:most]:
        if points:
            typer.echo(note)


def score(note, word):
    points = 0
    for part in note.lower().split():
        if part == word:
            points += 10
        elif part.startswith(word):
            points += 5
        elif word in part:
            points += 1
    return points


if __name__ == "__main__":
    app()
