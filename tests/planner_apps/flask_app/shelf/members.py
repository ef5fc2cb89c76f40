"""Members, and who is asking."""

from __future__ import annotations

import functools

import requests
from flask import Blueprint, current_app, flash, g, redirect, render_template, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from .db import get_db, transaction

bp = Blueprint("members", __name__, url_prefix="/members")


@bp.before_app_request
def load_member():
    number = session.get("member")
    g.member = None
    if number is not None:
        g.member = get_db().execute("SELECT * FROM member WHERE id = ?", (number,)).fetchone()


def members_only(view):
    @functools.wraps(view)
    def wrapped(**kwargs):
        if g.member is None:
            return redirect(url_for("members.log_in"))
        return view(**kwargs)

    return wrapped


@bp.route("/join", methods=("GET", "POST"))
def join():
    if request.method == "POST":
        name, password, post_code = (request.form[key] for key in ("name", "password", "post_code"))
        if not lives_here(post_code):
            flash("Members live in town.")
        else:
            with transaction() as connection:
                connection.execute(
                    "INSERT INTO member (name, password) VALUES (?, ?)", (name, generate_password_hash(password))
                )
            return redirect(url_for("members.log_in"))
    return render_template("members/join.html")


@bp.route("/login", methods=("GET", "POST"))
def log_in():
    if request.method == "POST":
        row = get_db().execute("SELECT * FROM member WHERE name = ?", (request.form["name"],)).fetchone()
        if row is not None and check_password_hash(row["password"], request.form["password"]):
            session.clear()
            session["member"] = row["id"]
            return redirect(url_for("index"))
        flash("Name or password is wrong.")
    return render_template("members/login.html")


@bp.get("/me")
@members_only
def profile():
    loans = get_db().execute("SELECT * FROM loan WHERE member = ?", (g.member["id"],)).fetchall()
    return render_template("members/profile.html", loans=loans)


@bp.cli.command("remind")
def remind():
    """Write to everybody whose loan is overdue."""
    for row in get_db().execute("SELECT * FROM overdue"):
        response = requests.post(current_app.config["MAILER"], json={"to": row["mail"], "tool": row["tool"]}, timeout=5)
        response.raise_for_status()


def lives_here(post_code):
    try:
        response = requests.get(current_app.config["POST_CODES"] + post_code, timeout=2)
    except requests.RequestException:
        return True
    return response.status_code == 200 and response.json().get("town") == current_app.config["TOWN"]
