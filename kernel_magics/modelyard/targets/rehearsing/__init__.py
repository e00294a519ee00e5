"""The dress rehearsal: a target's real handler, here, under its limits, with the golden rows."""
