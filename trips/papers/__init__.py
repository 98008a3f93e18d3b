"""Papers: their fields, how they are printed, and how a PDF is shown as pictures."""
