"""What may ever be handed over to an application on the counter, whoever signed the policy that asks for more."""

from __future__ import annotations

from typing import Final

HANDOVER_CEILING: Final = (
    *("document_class", "document_code", "issuing_state", "document_number"),
    *("surname", "given_names", "chinese_name", "nationality", "sex", "birth_date", "expiry_date"),
)
"""What a form at a counter asks for, by the names of `edged.privacy.held.FIELDS`.

Never the lines of an MRZ, optional data or a portrait: no form has a box for them, and they are what a forger needs.
"""

MAX_WITHIN_S: Final = 60.0
"""A form is filled within a minute, or the clerk is doing something else."""
