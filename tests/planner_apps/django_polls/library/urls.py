from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("loans/", include("loans.urls")),
    path("admin/", admin.site.urls),
]
