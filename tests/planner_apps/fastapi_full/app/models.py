import uuid

from pydantic import EmailStr
from sqlmodel import Field, Relationship, SQLModel


class PersonBase(SQLModel):
    email: EmailStr = Field(unique=True, index=True, max_length=255)
    name: str | None = Field(default=None, max_length=255)
    is_active: bool = True
    is_keeper: bool = False


class PersonCreate(PersonBase):
    password: str = Field(min_length=8, max_length=40)


class Person(PersonBase, table=True):
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    hashed_password: str
    gardens: list["Garden"] = Relationship(back_populates="owner", cascade_delete=True)

    @property
    def label(self) -> str:
        return self.email


class PersonPublic(PersonBase):
    id: uuid.UUID


class PeoplePublic(SQLModel):
    data: list[PersonPublic]
    count: int


class GardenBase(SQLModel):
    title: str = Field(min_length=1, max_length=255)
    square_metres: float = 0


class GardenCreate(GardenBase):
    pass


class GardenUpdate(GardenBase):
    title: str | None = Field(default=None, min_length=1, max_length=255)


class Garden(GardenBase, table=True):
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    owner_id: uuid.UUID = Field(foreign_key="person.id", nullable=False, ondelete="CASCADE")
    owner: Person | None = Relationship(back_populates="gardens")

    def rent(self) -> float:
        """Euros a year."""
        rate = 0.5 if self.owner and self.owner.is_keeper else 1.0
        if self.square_metres > 200:
            return 200 * rate + (self.square_metres - 200) * rate * 0.8
        return self.square_metres * rate


class GardenPublic(GardenBase):
    id: uuid.UUID
    owner_id: uuid.UUID


class GardensPublic(SQLModel):
    data: list[GardenPublic]
    count: int


class Message(SQLModel):
    message: str


class Token(SQLModel):
    access_token: str
    token_type: str = "bearer"


class NewPassword(SQLModel):
    token: str
    new_password: str
