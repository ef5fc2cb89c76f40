"""Tools, and lending them."""

from __future__ import annotations

import datetime

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for

from .db import get_db, transaction
from .model import Tool, fee

bp = Blueprint("tools", __name__, url_prefix="/tools")


def index():
    rows = get_db().execute("SELECT * FROM tool ORDER BY name").fetchall()
    tools = [Tool.from_row(row) for row in rows]
    return render_template("tools/index.html", tools=tools, free=[tool for tool in tools if tool.is_free])


@bp.route("/<int:tool_id>")
def show(tool_id):
    tool = find_tool(tool_id)
    return render_template("tools/show.html", tool=tool, fee=fee(tool, datetime.date.today()))


@bp.route("/<int:tool_id>/lend", methods=["GET", "POST"])
def lend(tool_id):
    tool = find_tool(tool_id)
    if request.method == "GET":
        return render_template("tools/lend.html", tool=tool)
    member = request.form.get("member", "")
    if not member.isdigit():
        abort(400, "give the number of a member")
    if not tool.is_free:
        abort(409, f"{tool.name} is lent until {tool.due}")
    due = datetime.date.today() + datetime.timedelta(days=current_app.config["LOAN_DAYS"])
    with transaction() as connection:
        connection.execute("INSERT INTO loan (tool, member, due) VALUES (?, ?, ?)", (tool_id, int(member), due))
        connection.execute("UPDATE tool SET due = ? WHERE id = ?", (due, tool_id))
    return redirect(url_for("tools.show", tool_id=tool_id))


@bp.post("/<int:tool_id>/return")
def give_back(tool_id):
    tool = find_tool(tool_id)
    owed = fee(tool, datetime.date.today())
    with transaction() as connection:
        connection.execute("UPDATE tool SET due = NULL WHERE id = ?", (tool_id,))
        if owed:
            connection.execute("INSERT INTO debt (tool, cents) VALUES (?, ?)", (tool_id, owed))
    return redirect(url_for("tools.index"))


def find_tool(tool_id):
    row = get_db().execute("SELECT * FROM tool WHERE id = ?", (tool_id,)).fetchone()
    if row is None:
        abort(404, f"there is no tool {tool_id}")
    return Tool.from_row(row)
