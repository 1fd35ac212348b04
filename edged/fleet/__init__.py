"""The fleet admin's side: roles, keys, devices, configurations, artefacts, rollouts; kept in text files."""
