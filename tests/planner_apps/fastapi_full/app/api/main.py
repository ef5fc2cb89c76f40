from fastapi import APIRouter

from app.api.routes import gardens, login, people, utils

api_router = APIRouter()
api_router.include_router(login.router, tags=["login"])
api_router.include_router(people.router, prefix="/people", tags=["people"])
api_router.include_router(gardens.router, prefix="/gardens", tags=["gardens"])
api_router.include_router(utils.router, prefix="/utils", tags=["utils"])
