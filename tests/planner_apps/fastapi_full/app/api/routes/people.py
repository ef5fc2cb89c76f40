import uuid
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from sqlmodel import func, select

from app import crud
from app.api.deps import CurrentPerson, SessionDep, get_current_keeper
from app.core.config import settings
from app.models import Message, PeoplePublic, Person, PersonCreate, PersonPublic
from app.utils import new_account_email, send_email

router = APIRouter()


@router.get("/", dependencies=[Depends(get_current_keeper)], response_model=PeoplePublic)
def read_people(session: SessionDep, skip: int = 0, limit: int = 100) -> Any:
    count = session.exec(select(func.count()).select_from(Person)).one()
    people = session.exec(select(Person).offset(skip).limit(limit)).all()
    return PeoplePublic(data=people, count=count)


@router.post("/", dependencies=[Depends(get_current_keeper)], response_model=PersonPublic)
def create_person(*, session: SessionDep, person_in: PersonCreate) -> Any:
    if crud.get_person_by_email(session=session, email=person_in.email):
        raise HTTPException(400, "somebody has that address already")
    person = crud.create_person(session=session, person_create=person_in)
    if settings.emails_enabled and person_in.email:
        data = new_account_email(email_to=person_in.email, name=person_in.name)
        send_email(email_to=person_in.email, subject=data.subject, html=data.html)
    return person


@router.get("/me", response_model=PersonPublic)
def read_me(current: CurrentPerson) -> Any:
    return current


@router.delete("/{person_id}", dependencies=[Depends(get_current_keeper)])
def delete_person(session: SessionDep, current: CurrentPerson, person_id: uuid.UUID) -> Message:
    person = session.get(Person, person_id)
    if not person:
        raise HTTPException(404, "there is no such person")
    if person == current:
        raise HTTPException(403, "keepers cannot remove themselves")
    session.delete(person)
    session.commit()
    return Message(message="gone")
