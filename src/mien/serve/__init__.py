"""The HTTP server: pictures in, expression labels out; a page, a stream and the rest API over one queue."""
