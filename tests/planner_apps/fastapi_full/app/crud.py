from sqlmodel import Session, select

from app.core.security import hash_password, verify_password
from app.models import Person, PersonCreate


def create_person(*, session: Session, person_create: PersonCreate) -> Person:
    person = Person.model_validate(person_create, update={"hashed_password": hash_password(person_create.password)})
    session.add(person)
    session.commit()
    session.refresh(person)
    return person


def get_person_by_email(*, session: Session, email: str) -> Person | None:
    statement = select(Person).where(Person.email == email)
    return session.exec(statement).first()


def authenticate(*, session: Session, email: str, password: str) -> Person | None:
    person = get_person_by_email(session=session, email=email)
    if not person:
        return None
    if not verify_password(password, person.hashed_password):
        return None
    return person
