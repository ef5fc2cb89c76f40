from django import forms

from .models import Loan


class LoanForm(forms.ModelForm):
    class Meta:
        model = Loan
        fields = ["reader"]

    def clean_reader(self):
        reader = self.cleaned_data["reader"]
        if any(character.isdigit() for character in reader):
            raise forms.ValidationError("names have no digits")
        return reader
