from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import OAuth2PasswordRequestForm

from app import crud
from app.api.deps import CurrentPerson, SessionDep
from app.core import security
from app.core.config import settings
from app.models import Message, NewPassword, Token
from app.utils import read_reset_token, reset_token, send_email

router = APIRouter()


@router.post("/login/access-token")
def log_in(session: SessionDep, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    person = crud.authenticate(session=session, email=form.username, password=form.password)
    if not person:
        raise HTTPException(400, "name or password is wrong")
    expires = timedelta(minutes=settings.TOKEN_MINUTES)
    return Token(access_token=security.create_access_token(person.id, expires))


@router.post("/login/test-token")
def test_token(current: CurrentPerson) -> CurrentPerson:
    return current


@router.post("/password-recovery/{email}")
def recover_password(email: str, session: SessionDep) -> Message:
    person = crud.get_person_by_email(session=session, email=email)
    if not person:
        raise HTTPException(404, "nobody has that address")
    send_email(email_to=person.email, subject="New password", html=reset_token(email))
    return Message(message="a letter is on its way")


@router.post("/reset-password/")
def reset_password(session: SessionDep, body: NewPassword) -> Message:
    email = read_reset_token(body.token)
    person = email and crud.get_person_by_email(session=session, email=email)
    if not person:
        raise HTTPException(400, "the token is not valid")
    person.hashed_password = security.hash_password(body.new_password)
    session.add(person)
    session.commit()
    return Message(message="done")
