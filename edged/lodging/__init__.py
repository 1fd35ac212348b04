"""The lodging record of a hotel stay: completed by the clerk, validated, sealed to the authority, and accounted for."""
