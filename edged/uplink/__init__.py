"""The way out of the box: who may sign what, signed envelopes, outbox and MQTT. Never sees raw identity."""
