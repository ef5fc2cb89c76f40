from django.core.mail import send_mail
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from loans.models import Loan


class Command(BaseCommand):
    help = "Writes to readers whose loans are overdue"

    def add_arguments(self, parser):
        parser.add_argument("--days", type=int, default=0)

    def handle(self, *args, **options):
        if options["days"] < 0:
            raise CommandError("--days must not be negative")
        limit = timezone.now() - timezone.timedelta(days=options["days"])
        for loan in Loan.objects.filter(returned__isnull=True, due__lt=limit):
            send_mail("Your loan", self.letter(loan), "library@example.org", [loan.reader])
            self.stdout.write(f"wrote to {loan.reader}")

    def letter(self, loan):
        days = (timezone.now() - loan.due).days
        return f"{loan.book.title} was due {days} days ago."
