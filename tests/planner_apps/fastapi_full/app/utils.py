import logging
import smtplib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import jwt
from jinja2 import Template
from jwt.exceptions import InvalidTokenError

from app.core import security
from app.core.config import settings

logger = logging.getLogger(__name__)


@dataclass
class EmailData:
    html: str
    subject: str


def render(template: str, context: dict[str, Any]) -> str:
    text = (Path(__file__).parent / "email-templates" / template).read_text()
    return Template(text).render(context)


def send_email(*, email_to: str, subject: str = "", html: str = "") -> None:
    if not settings.emails_enabled:
        raise RuntimeError("no mail server is configured")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, settings.MAIL_FROM, email_to
    message.set_content(html, subtype="html")
    with smtplib.SMTP(settings.SMTP_HOST, settings.SMTP_PORT, timeout=10) as server:
        server.starttls()
        server.send_message(message)
    logger.info("sent mail to %s", email_to)


def new_account_email(email_to: str, name: str | None) -> EmailData:
    html = render("new_account.html", {"project": settings.PROJECT_NAME, "name": name or email_to})
    return EmailData(html=html, subject=f"{settings.PROJECT_NAME}: welcome")


def reset_token(email: str) -> str:
    now = datetime.now(UTC)
    claims = {"exp": (now + timedelta(hours=24)).timestamp(), "nbf": now, "sub": email}
    return jwt.encode(claims, settings.SECRET_KEY, algorithm=security.ALGORITHM)


def read_reset_token(token: str) -> str | None:
    try:
        return str(jwt.decode(token, settings.SECRET_KEY, algorithms=[security.ALGORITHM])["sub"])
    except InvalidTokenError:
        return None
