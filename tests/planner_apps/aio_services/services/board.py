"""Tornado: a notice board, and a socket that says when it changes."""

from __future__ import annotations

import asyncio
import json

import tornado.web
import tornado.websocket
from tornado.httpclient import AsyncHTTPClient


class Board:
    def __init__(self):
        self.notices = []
        self.listeners = set()

    def last(self):
        return self.notices

    def post(self, text):
        self.notices.append(text)
        for listener in self.listeners:
            listener.write_message(text)


class BaseHandler(tornado.web.RequestHandler):
    def initialize(self, board):
        self.board = board

    def prepare(self):
        if self.request.headers.get("Content-Type", "").startswith("application/json"):
            self.body = json.loads(self.request.body)


class NoticesHandler(BaseHandler):
    def get(self):
        self.write({"notices": self.board.last()})

    async def post(self):
        response = await AsyncHTTPClient().fetch("https://spam.example.org", method="POST", body=self.body["text"])
        if response.code != 200:
            raise tornado.web.HTTPError(400)
        self.board.post(self.body["text"])


class ListenHandler(tornado.websocket.WebSocketHandler):
    board = Board()

    def open(self):
        self.board.listeners.add(self)

    def on_message(self, message):
        self.board.post(message)

    def on_close(self):
        self.board.listeners.discard(self)


def make_app():
    board = Board()
    return tornado.web.Application([(r"/notices", NoticesHandler, {"board": board}), (r"/listen", ListenHandler)])


async def main():
    make_app().listen(8888)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
