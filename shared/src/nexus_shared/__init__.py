"""What every Nexus service shares."""
