from django.urls import path

from . import views

app_name = "loans"
urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("<int:pk>/", views.DetailView.as_view(), name="detail"),
    path("<int:book_id>/lend/", views.lend, name="lend"),
    path("return/<int:loan_id>/", views.ReturnView.as_view(), name="return"),
    path("overdue/", views.overdue, name="overdue"),
]
