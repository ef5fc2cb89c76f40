from fastapi import APIRouter, BackgroundTasks, Depends
from pydantic.networks import EmailStr

from app.api.deps import get_current_keeper
from app.models import Message
from app.utils import send_email

router = APIRouter()


@router.post("/test-email/", dependencies=[Depends(get_current_keeper)], status_code=201)
def test_email(email_to: EmailStr, background: BackgroundTasks) -> Message:
    background.add_task(send_email, email_to=email_to, subject="Test", html="<p>It works.</p>")
    return Message(message="sent")


@router.get("/health-check/")
async def health_check() -> bool:
    return True
