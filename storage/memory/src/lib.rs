//! Zipkin's mem storage without its global lock.
