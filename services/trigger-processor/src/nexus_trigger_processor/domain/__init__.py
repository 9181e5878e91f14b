"""Pure decisions: no input or output, no clock, no ids made here."""
