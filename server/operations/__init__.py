"""What can be done with lessons, seminars, guests and recordings: asked by pages and by the API alike."""
