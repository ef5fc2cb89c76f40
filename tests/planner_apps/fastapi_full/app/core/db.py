from sqlmodel import Session, create_engine, select

from app import crud
from app.core.config import settings
from app.models import Person, PersonCreate

engine = create_engine(str(settings.database_uri))


def init_db(session: Session) -> None:
    person = session.exec(select(Person).where(Person.email == settings.FIRST_KEEPER)).first()
    if not person:
        first = PersonCreate(email=settings.FIRST_KEEPER, password=settings.FIRST_PASSWORD, is_keeper=True)
        crud.create_person(session=session, person_create=first)
