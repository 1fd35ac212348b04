"""What happened at the counter beside the verdicts: slips, handovers, records. Names of fields, never their values."""
