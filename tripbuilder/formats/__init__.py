"""How days and times are written where nothing else is said: as on every other page, with the month in letters."""
