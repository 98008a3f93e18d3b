"""How our fields and GoHighLevel's correspond: one table, read in both directions."""
