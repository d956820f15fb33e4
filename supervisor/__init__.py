"""Start every part of Tropa on one PC, keep it alive, and stop it."""
