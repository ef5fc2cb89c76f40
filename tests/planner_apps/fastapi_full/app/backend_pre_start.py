import logging
import time

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from app.core.db import engine

logger = logging.getLogger(__name__)
TRIES = 300


def wait_for(db_engine: Engine) -> None:
    for attempt in range(TRIES):
        try:
            with Session(db_engine) as session:
                session.exec(select(1))
            return
        except OperationalError:
            logger.warning("the database does not answer (%s)", attempt)
            time.sleep(1)
    raise RuntimeError("the database never answered")


def main() -> None:
    logger.info("waiting for the database")
    wait_for(engine)


if __name__ == "__main__":
    main()
