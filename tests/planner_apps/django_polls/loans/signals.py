import logging

from django.core.cache import cache
from django.db.models.signals import post_save
from django.dispatch import receiver

from .models import Loan

logger = logging.getLogger(__name__)


@receiver(post_save, sender=Loan)
def forget_overdue(sender, instance, created, **kwargs):
    cache.delete("overdue")
    if created:
        logger.info("lent %s", instance)
