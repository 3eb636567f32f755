//! Bytes arrive somewhere: decode, sample, make durable.
