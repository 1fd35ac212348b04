"""edged's driver for the Acme full-page reader."""
