"""Login tokens and a limit on attempts in Flask: `flask --app flask_app run` in this folder."""

import os
import secrets
from datetime import timedelta

from flask import Flask, Response, abort, g, jsonify, request

import groupstore

SESSIONS = "sessions"
ATTEMPTS = "attempts"
LIFETIME = timedelta(days=7)
MOST_ATTEMPTS = 5

PASSWORDS = {"alice": "correct horse"}  # A real application has a table of hashes.


def create_app(path: str | None = None) -> Flask:
    app = Flask(__name__)
    # One store a process, shared by its threads. A server that forks its workers after this
    # gives each of them connections of its own.
    store = groupstore.Store(path or os.environ.get("GROUPSTORE_PATH", "flask.db"))
    app.extensions["groupstore"] = store

    @app.before_request
    def find_user() -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        g.token = token
        g.user = store.get(SESSIONS, token, None)

    @app.post("/login")
    def login() -> Response:
        name = request.form["name"]
        # In one step, so that no process can end between the count and its limit in time.
        with store.transaction() as tx:
            attempts = tx.increment(ATTEMPTS, name)
            if attempts == 1:
                tx.expire(ATTEMPTS, name, timedelta(minutes=1))
        if attempts > MOST_ATTEMPTS:
            abort(429)
        if PASSWORDS.get(name) != request.form["password"]:
            abort(401)
        store.delete(ATTEMPTS, name)
        token = secrets.token_urlsafe()
        store.set(SESSIONS, token, name, ttl=LIFETIME)
        return jsonify(token=token)

    @app.get("/me")
    def me() -> Response:
        if g.user is None:
            abort(401)
        # A user who comes back stays logged in.
        store.expire(SESSIONS, g.token, LIFETIME)
        return jsonify(user=g.user, seconds=store.ttl(SESSIONS, g.token))

    @app.post("/logout")
    def logout() -> Response:
        return jsonify(logged_out=store.delete(SESSIONS, g.token))

    return app
