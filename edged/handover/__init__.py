"""Handover: named fields of an inspection for the authenticated application that asked for it; once, and soon."""
