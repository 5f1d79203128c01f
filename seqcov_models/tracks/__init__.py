"""Track tables, selection of tracks, units and their inverse."""
