from django.contrib import admin

from .models import Book, Loan


class LoanInline(admin.TabularInline):
    model = Loan
    extra = 1


@admin.action(description="Add a copy")
def add_copy(modeladmin, request, queryset):
    for book in queryset:
        book.copies += 1
        book.save()


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    inlines = [LoanInline]
    list_display = ["title", "bought", "was_bought_recently", "lent"]
    actions = [add_copy]

    def lent(self, book):
        return book.loan_set.filter(returned__isnull=True).count()
