from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import F
from django.http import Http404, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views import View, generic

from .forms import LoanForm
from .models import Book, Loan


class IndexView(generic.ListView):
    template_name = "loans/index.html"
    context_object_name = "latest_books"

    def get_queryset(self):
        """The five books bought last, none of the future."""
        return Book.objects.filter(bought__lte=timezone.now()).order_by("-bought")[:5]


class DetailView(generic.DetailView):
    model = Book
    template_name = "loans/detail.html"

    def get_queryset(self):
        return Book.objects.filter(bought__lte=timezone.now())

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        context["form"] = LoanForm()
        return context


class ReturnView(View):
    def post(self, request, loan_id):
        loan = get_object_or_404(Loan, pk=loan_id)
        if loan.returned is not None:
            raise Http404("that loan is closed")
        loan.close()
        return HttpResponseRedirect(reverse("loans:detail", args=(loan.book_id,)))


@login_required
def lend(request, book_id):
    book = get_object_or_404(Book, pk=book_id)
    form = LoanForm(request.POST)
    if not form.is_valid():
        return render(request, "loans/detail.html", {"book": book, "form": form})
    try:
        book.lend_to(form.cleaned_data["reader"])
    except ValueError as error:
        form.add_error(None, str(error))
        return render(request, "loans/detail.html", {"book": book, "form": form}, status=409)
    Book.objects.filter(pk=book.pk).update(copies=F("copies") - 1)
    return HttpResponseRedirect(reverse("loans:detail", args=(book.pk,)))


def overdue(request):
    found = cache.get("overdue")
    if found is None:
        found = [
            {"book": loan.book.title, "reader": loan.reader}
            for loan in Loan.objects.filter(returned__isnull=True).select_related("book")
            if loan.is_overdue()
        ]
        cache.set("overdue", found, 60)
    return JsonResponse({"loans": found})
