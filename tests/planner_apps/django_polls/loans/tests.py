import datetime

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from .models import Book


def create_book(title, days):
    return Book.objects.create(title=title, bought=timezone.now() + datetime.timedelta(days=days))


class BookModelTests(TestCase):
    def test_a_book_of_the_future_was_not_bought_recently(self):
        self.assertIs(create_book("Later", 30).was_bought_recently(), False)

    def test_the_last_copy_cannot_be_lent_twice(self):
        book = create_book("Dune", -1)
        book.lend_to("ann")
        with self.assertRaises(ValueError):
            book.lend_to("bob")


class IndexViewTests(TestCase):
    def setUp(self):
        self.old = create_book("Old", -30)

    def test_books_are_shown(self):
        response = self.client.get(reverse("loans:index"))
        self.assertContains(response, self.old.title)
