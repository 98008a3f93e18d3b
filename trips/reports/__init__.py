"""What the office hands out: the same rows as page, CSV, XLSX and PDF.

`table` holds the shapes, `people`, `money` and `vendors` ask the database, `catalogue` lists every report with who may
have it, and `csv`, `xlsx` and `pdf` write what `table` holds. Nothing here knows of requests.
"""
