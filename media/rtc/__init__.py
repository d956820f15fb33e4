"""ICE-lite, DTLS and SRTP on one socket: the only place that knows the insides of aiortc, aioice and pylibsrtp."""
