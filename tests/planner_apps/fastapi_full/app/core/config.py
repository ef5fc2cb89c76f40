import secrets

from pydantic import PostgresDsn, computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file="../.env", extra="ignore")
    API_PATH: str = "/api/v1"
    PROJECT_NAME: str = "Gardens"
    VERSION: str = "1"
    SECRET_KEY: str = secrets.token_urlsafe(32)
    TOKEN_MINUTES: int = 60
    CORS_ORIGINS: list[str] = []
    FRONTEND: str = "http://localhost"
    DB_HOST: str = "localhost"
    DB_USER: str = "gardens"
    DB_PASSWORD: str = ""
    SMTP_HOST: str | None = None
    SMTP_PORT: int = 587
    MAIL_FROM: str | None = None
    FIRST_KEEPER: str = "keeper@example.org"
    FIRST_PASSWORD: str = "change me"

    @computed_field
    @property
    def all_cors_origins(self) -> list[str]:
        return [origin.rstrip("/") for origin in self.CORS_ORIGINS] + [self.FRONTEND]

    @computed_field
    @property
    def database_uri(self) -> PostgresDsn:
        return PostgresDsn.build(
            scheme="postgresql+psycopg", username=self.DB_USER, password=self.DB_PASSWORD, host=self.DB_HOST
        )

    @computed_field
    @property
    def emails_enabled(self) -> bool:
        return bool(self.SMTP_HOST and self.MAIL_FROM)


settings = Settings()
