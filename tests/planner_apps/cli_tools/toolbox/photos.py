"""`photos`: sorts pictures, with click."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import click

SUFFIXES = (".jpg", ".jpeg", ".png")


@click.group()
@click.option("--verbose", is_flag=True)
@click.pass_context
def cli(context, verbose):
    context.obj = {"verbose": verbose}


@cli.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--target", type=click.Path(path_type=Path), default=Path("sorted"))
def sort(folder, target):
    """Move pictures into one folder a year."""
    moved = 0
    for picture in pictures(folder):
        place = target / year_of(picture)
        place.mkdir(parents=True, exist_ok=True)
        shutil.move(picture, place / picture.name)
        moved += 1
    click.echo(f"{moved} moved")


@cli.command("twins")
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
def find_twins(folder):
    """List pictures that are there twice."""
    seen = {}
    for picture in pictures(folder):
        digest = digest_of(picture)
        if digest in seen:
            click.echo(f"{picture} = {seen[digest]}")
        else:
            seen[digest] = picture


@cli.group()
def album():
    pass


@album.command()
@click.argument("name")
def create(name):
    Path(name).mkdir()


def pictures(folder: Path):
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES:
            yield path


def year_of(picture: Path):
    return str(1970 + int(picture.stat().st_mtime // 31_556_952))


def digest_of(picture: Path):
    digest = hashlib.sha256()
    with picture.open("rb") as file:
        while chunk := file.read(1 << 16):
            digest.update(chunk)
    return digest.hexdigest()
