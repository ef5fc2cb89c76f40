"""A small web shop: Flask, SQLite, a thread pool, an asyncio worker, reports made by generators."""
