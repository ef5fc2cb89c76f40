"""aiohttp: the weather, from two sources, kept in Redis."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import redis.asyncio as redis
from aiohttp import web

SOURCES = ("https://one.example.org", "https://two.example.org")
routes = web.RouteTableDef()


@routes.get("/weather/{town}")
async def weather(request):
    town = request.match_info["town"]
    cache: redis.Redis = request.app["cache"]
    known = await cache.get(town)
    if known is not None:
        return web.json_response(json.loads(known))
    answers = await asyncio.gather(*(ask(request.app["http"], source, town) for source in SOURCES))
    answer = combine([one for one in answers if one is not None])
    await cache.set(town, json.dumps(answer), ex=600)
    return web.json_response(answer)


@routes.view("/towns")
class Towns(web.View):
    async def get(self):
        return web.json_response(sorted(self.request.app["towns"]))

    async def post(self):
        town = (await self.request.text()).strip()
        if not town:
            raise web.HTTPBadRequest(text="which town?")
        self.request.app["towns"].add(town)
        return web.Response(status=201)


async def health(request):
    return web.Response(text="ok")


async def ask(session: aiohttp.ClientSession, source, town):
    try:
        async with session.get(f"{source}/{town}") as response:
            return await response.json()
    except aiohttp.ClientError:
        return None


def combine(answers):
    """The mean of what is known."""
    total, count = 0.0, 0
    for answer in answers:
        degrees = answer.get("celsius")
        if degrees is None and "fahrenheit" in answer:
            degrees = (answer["fahrenheit"] - 32) / 1.8
        if degrees is not None:
            total += degrees
            count += 1
    return {"celsius": round(total / count, 1) if count else None, "sources": count}


@web.middleware
async def errors(request, handler):
    try:
        return await handler(request)
    except KeyError as error:
        return web.json_response({"error": str(error)}, status=404)


async def open_cache(app):
    app["cache"] = redis.from_url("redis://localhost")
    app["http"] = aiohttp.ClientSession()


async def close_cache(app):
    await app["http"].close()


def make_app():
    app = web.Application(middlewares=[errors])
    app["towns"] = set()
    app.add_routes(routes)
    app.router.add_get("/health", health)
    app.on_startup.append(open_cache)
    app.on_cleanup.append(close_cache)
    return app


if __name__ == "__main__":
    web.run_app(make_app())
