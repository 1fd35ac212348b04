"""The fleet admin's side: roles, keys, boxes, configurations, artefacts, rollouts; kept in a directory of text."""
