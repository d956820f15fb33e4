"""The live plane: one asyncio process that forwards lessons and records them, writing to disk and Redis only."""
