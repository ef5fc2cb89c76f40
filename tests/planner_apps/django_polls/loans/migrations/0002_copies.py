from django.db import migrations, models


def count_copies(apps, schema_editor):
    Book = apps.get_model("loans", "Book")
    for book in Book.objects.all():
        book.copies = 1
        book.save()


class Migration(migrations.Migration):
    dependencies = [("loans", "0001_initial")]
    operations = [
        migrations.AddField("book", "copies", models.IntegerField(default=1)),
        migrations.RunPython(count_copies, migrations.RunPython.noop),
    ]
