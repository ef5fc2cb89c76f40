from collections.abc import Generator
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException, status
from fastapi.security import OAuth2PasswordBearer
from jwt.exceptions import InvalidTokenError
from sqlmodel import Session

from app.core import security
from app.core.config import settings
from app.core.db import engine
from app.models import Person

reusable_oauth2 = OAuth2PasswordBearer(tokenUrl=f"{settings.API_PATH}/login/access-token")


def get_db() -> Generator[Session, None, None]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_db)]
TokenDep = Annotated[str, Depends(reusable_oauth2)]


def get_current_person(session: SessionDep, token: TokenDep) -> Person:
    try:
        payload = jwt.decode(token, settings.SECRET_KEY, algorithms=[security.ALGORITHM])
    except InvalidTokenError:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "the token is not valid") from None
    person = session.get(Person, payload["sub"])
    if person is None:
        raise HTTPException(404, "there is no such person")
    if not person.is_active:
        raise HTTPException(400, "this person has left")
    return person


CurrentPerson = Annotated[Person, Depends(get_current_person)]


def get_current_keeper(current: CurrentPerson) -> Person:
    if not current.is_keeper:
        raise HTTPException(403, "keepers only")
    return current
