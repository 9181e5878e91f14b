"""Messages: publishing with confirms, reading in batches, frames per lane, FastStream with our defaults."""
