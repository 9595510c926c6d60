"""URL handlers for pyserial."""
