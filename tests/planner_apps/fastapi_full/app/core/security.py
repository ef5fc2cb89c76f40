from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from passlib.context import CryptContext

from app.core.config import settings

context = CryptContext(schemes=["bcrypt"], deprecated="auto")
ALGORITHM = "HS256"


def create_access_token(subject: str | Any, expires: timedelta) -> str:
    until = datetime.now(UTC) + expires
    return jwt.encode({"exp": until, "sub": str(subject)}, settings.SECRET_KEY, algorithm=ALGORITHM)


def verify_password(plain: str, hashed: str) -> bool:
    return context.verify(plain, hashed)


def hash_password(password: str) -> str:
    return context.hash(password)
