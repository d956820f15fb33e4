"""A school's own computer: fetches lessons at night, verifies them, shows them without the internet."""
