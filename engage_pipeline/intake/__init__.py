"""A file or a payload becomes contacts: sniff, map, normalise, quarantine, load."""
