"""The web face: pages, JSON API, auth, calendar files, WHIP/WHEP front door, downloads."""
