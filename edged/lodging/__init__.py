"""The hotel's lodging record: its form and entry rules, the clerk's completion, deadlines and the three rates."""
