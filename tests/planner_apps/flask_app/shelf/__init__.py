"""A lending shelf: who has which tool."""

from __future__ import annotations

import os

from flask import Flask, jsonify

from . import db, members, tools


def create_app(settings: dict | None = None) -> Flask:
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(
        SECRET_KEY="dev",
        DATABASE=os.path.join(app.instance_path, "shelf.sqlite"),
        LOAN_DAYS=14,
    )
    if settings is None:
        app.config.from_pyfile("config.py", silent=True)
    else:
        app.config.from_mapping(settings)
    os.makedirs(app.instance_path, exist_ok=True)

    @app.route("/health")
    def health():
        return jsonify(status="ok")

    @app.errorhandler(404)
    def not_found(error):
        return jsonify(error=str(error)), 404

    @app.errorhandler(db.Conflict)
    def conflict(error):
        app.logger.warning("conflict: %s", error)
        return jsonify(error=error.reason), 409

    db.init_app(app)
    app.register_blueprint(tools.bp)
    app.register_blueprint(members.bp)
    app.add_url_rule("/", endpoint="index", view_func=tools.index)
    return app
