"""Starlette: tiles of a map, from disk or made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

TILES = Path("tiles")
drawing = asyncio.Semaphore(4)


async def tile(request):
    x, y = int(request.path_params["x"]), int(request.path_params["y"])
    path = anyio.Path(TILES / f"{x}-{y}.png")
    if await path.exists():
        return Response(await path.read_bytes(), media_type="image/png")
    async with drawing:
        data = await asyncio.get_running_loop().run_in_executor(None, draw, x, y)
    await path.write_bytes(data)
    return Response(data, media_type="image/png")


async def follow(websocket):
    await websocket.accept()
    for step in range(10):
        await websocket.send_json({"step": step})
        await asyncio.sleep(1)


class Places(HTTPEndpoint):
    async def get(self, request):
        return JSONResponse({"places": []})

    async def delete(self, request):
        return Response(status_code=204)


class Timing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        started = asyncio.get_running_loop().time()
        response = await call_next(request)
        response.headers["X-Seconds"] = str(asyncio.get_running_loop().time() - started)
        return response


def draw(x, y):
    rows = bytearray()
    for row in range(256):
        for column in range(256):
            rows.append((x * row + y * column) % 256)
    return bytes(rows)


async def prepare():
    TILES.mkdir(exist_ok=True)


app = Starlette(
    routes=[
        Route("/tiles/{x:int}/{y:int}", tile),
        Mount("/api", routes=[Route("/places", Places)]),
        WebSocketRoute("/follow", follow),
    ],
    middleware=[Middleware(Timing)],
    on_startup=[prepare],
)
