"""The feedback slip (反馈单): what it says, its signature, how it is drawn and printed, and how it is verified."""
