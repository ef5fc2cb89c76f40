"""Call time: sites, spans, context, sampling, capture, and the thread that drains what was recorded."""
