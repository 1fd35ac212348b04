"""The whole way of a document on one machine: real processes on loopback, in a fleet of their own."""
