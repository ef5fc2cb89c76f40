import datetime

from django.conf import settings
from django.contrib import admin
from django.db import models
from django.utils import timezone


class BookQuerySet(models.QuerySet):
    def on_shelf(self):
        return self.exclude(loan__returned__isnull=True)

    def with_counts(self):
        return self.annotate(times_lent=models.Count("loan"))


class Book(models.Model):
    title = models.CharField(max_length=200)
    bought = models.DateTimeField("date bought")
    copies = models.IntegerField(default=1)

    objects = BookQuerySet.as_manager()

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return f"/loans/{self.pk}/"

    @admin.display(boolean=True, ordering="bought", description="Bought recently?")
    def was_bought_recently(self):
        now = timezone.now()
        return now - datetime.timedelta(days=30) <= self.bought <= now

    def lend_to(self, reader):
        """A new loan, if there is a copy left."""
        lent = self.loan_set.filter(returned__isnull=True).count()
        if lent >= self.copies:
            raise ValueError(f"all copies of {self.title} are lent")
        due = timezone.now() + datetime.timedelta(days=settings.LOAN_DAYS)
        return self.loan_set.create(reader=reader, due=due)


class Loan(models.Model):
    book = models.ForeignKey(Book, on_delete=models.CASCADE)
    reader = models.CharField(max_length=100)
    due = models.DateTimeField()
    returned = models.DateTimeField(null=True)

    def __str__(self):
        return f"{self.book} to {self.reader}"

    def is_overdue(self):
        return self.returned is None and self.due < timezone.now()

    def save(self, *args, **kwargs):
        self.reader = self.reader.strip().title()
        super().save(*args, **kwargs)

    def close(self):
        self.returned = timezone.now()
        self.save(update_fields=["returned"])
