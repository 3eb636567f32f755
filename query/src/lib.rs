//! Here is a question, give me traces: Zipkin's API.
