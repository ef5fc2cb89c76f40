from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from app.api.main import api_router
from app.core.config import settings
from app.core.db import engine


def operation_id(route: APIRoute) -> str:
    return f"{route.tags[0]}-{route.name}"


@asynccontextmanager
async def lifespan(app: FastAPI):
    with engine.connect():
        yield
    engine.dispose()


app = FastAPI(
    title=settings.PROJECT_NAME,
    openapi_url=f"{settings.API_PATH}/openapi.json",
    generate_unique_id_function=operation_id,
    lifespan=lifespan,
)

if settings.all_cors_origins:
    app.add_middleware(CORSMiddleware, allow_origins=settings.all_cors_origins, allow_methods=["*"])


@app.middleware("http")
async def add_version(request: Request, call_next):
    response = await call_next(request)
    response.headers["X-Version"] = settings.VERSION
    return response


@app.exception_handler(PermissionError)
async def refused(request: Request, error: PermissionError):
    return JSONResponse({"detail": str(error)}, status_code=403)


app.include_router(api_router, prefix=settings.API_PATH)
