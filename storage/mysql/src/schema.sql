-- Zipkin's tables: its columns and its indexes. {collation} compares texts byte by byte where the server has such a
-- collation without padding. The usual utf8_general_ci cannot tell é from e, and has no place for 🦀.

CREATE TABLE IF NOT EXISTS zipkin_spans (
  trace_id_high BIGINT NOT NULL DEFAULT 0,
  trace_id BIGINT NOT NULL,
  id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  remote_service_name VARCHAR(255),
  parent_id BIGINT,
  debug BIT(1),
  start_ts BIGINT,
  duration BIGINT,
  PRIMARY KEY (trace_id_high, trace_id, id),
  INDEX (trace_id_high, trace_id),
  INDEX (name),
  INDEX (remote_service_name),
  INDEX (start_ts)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE {collation};

CREATE TABLE IF NOT EXISTS zipkin_annotations (
  trace_id_high BIGINT NOT NULL DEFAULT 0,
  trace_id BIGINT NOT NULL,
  span_id BIGINT NOT NULL,
  a_key VARCHAR(255) NOT NULL,
  a_value BLOB,
  a_type INT NOT NULL,
  a_timestamp BIGINT,
  endpoint_ipv4 INT,
  endpoint_ipv6 BINARY(16),
  endpoint_port SMALLINT,
  endpoint_service_name VARCHAR(255),
  UNIQUE KEY (trace_id_high, trace_id, span_id, a_key, a_timestamp),
  INDEX (trace_id_high, trace_id, span_id),
  INDEX (trace_id_high, trace_id),
  INDEX (endpoint_service_name),
  INDEX (a_type),
  INDEX (a_key),
  INDEX (trace_id, span_id, a_key)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE {collation};

CREATE TABLE IF NOT EXISTS zipkin_dependencies (
  day DATE NOT NULL,
  parent VARCHAR(255) NOT NULL,
  child VARCHAR(255) NOT NULL,
  call_count BIGINT,
  error_count BIGINT,
  PRIMARY KEY (day, parent, child)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE {collation}
