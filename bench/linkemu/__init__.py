"""A link emulator in user space, between two TUN devices: rate or trace, delay, jitter, loss, bounded queue."""
