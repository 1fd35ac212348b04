"""One module a command: its arguments and its work. `edged.cli` imports the one that was asked for."""
