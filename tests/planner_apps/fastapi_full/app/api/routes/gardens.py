import uuid
from typing import Any

from fastapi import APIRouter, HTTPException
from sqlmodel import func, select

from app.api.deps import CurrentPerson, SessionDep
from app.models import Garden, GardenCreate, GardenPublic, GardensPublic, GardenUpdate, Message

router = APIRouter()


@router.get("/", response_model=GardensPublic)
def read_gardens(session: SessionDep, current: CurrentPerson, skip: int = 0, limit: int = 100) -> Any:
    """All gardens for a keeper, else one's own."""
    if current.is_keeper:
        count = session.exec(select(func.count()).select_from(Garden)).one()
        gardens = session.exec(select(Garden).offset(skip).limit(limit)).all()
    else:
        own = Garden.owner_id == current.id
        count = session.exec(select(func.count()).select_from(Garden).where(own)).one()
        gardens = session.exec(select(Garden).where(own).offset(skip).limit(limit)).all()
    return GardensPublic(data=gardens, count=count)


@router.get("/{id}", response_model=GardenPublic)
def read_garden(session: SessionDep, current: CurrentPerson, id: uuid.UUID) -> Any:
    return find(session, current, id)


@router.post("/", response_model=GardenPublic)
def create_garden(*, session: SessionDep, current: CurrentPerson, garden_in: GardenCreate) -> Any:
    garden = Garden.model_validate(garden_in, update={"owner_id": current.id})
    session.add(garden)
    session.commit()
    session.refresh(garden)
    return garden


@router.put("/{id}", response_model=GardenPublic)
def update_garden(*, session: SessionDep, current: CurrentPerson, id: uuid.UUID, garden_in: GardenUpdate) -> Any:
    garden = find(session, current, id)
    garden.sqlmodel_update(garden_in.model_dump(exclude_unset=True))
    session.add(garden)
    session.commit()
    session.refresh(garden)
    return garden


@router.delete("/{id}")
def delete_garden(session: SessionDep, current: CurrentPerson, id: uuid.UUID) -> Message:
    garden = find(session, current, id)
    session.delete(garden)
    session.commit()
    return Message(message="the garden is gone")


def find(session: SessionDep, current: CurrentPerson, id: uuid.UUID) -> Garden:
    garden = session.get(Garden, id)
    if not garden:
        raise HTTPException(404, "there is no such garden")
    if not current.is_keeper and garden.owner_id != current.id:
        raise HTTPException(400, "not yours")
    return garden
