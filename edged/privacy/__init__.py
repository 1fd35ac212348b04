"""From raw identity to what an audience may learn: policies, masks, pseudonyms, leak scan."""
