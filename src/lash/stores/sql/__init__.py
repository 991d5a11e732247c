"""Schema, statements and programs, one module per subject. No IO happens here."""
