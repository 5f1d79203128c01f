"""What networks share: configs and their fields, layers, attention, losses, and what users call."""
