CREATE TABLE zipkin_spans (
  trace_id BIGINT NOT NULL,
  id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  parent_id BIGINT,
  debug BIT(1),
  start_ts BIGINT,
  duration BIGINT,
  UNIQUE KEY (trace_id, id),
  INDEX (start_ts)
) ENGINE=InnoDB CHARACTER SET=utf8 COLLATE utf8_general_ci;

CREATE TABLE zipkin_annotations (
  trace_id BIGINT NOT NULL,
  span_id BIGINT NOT NULL,
  a_key VARCHAR(255) NOT NULL,
  a_value BLOB,
  a_type INT NOT NULL,
  a_timestamp BIGINT,
  endpoint_ipv4 INT,
  endpoint_port SMALLINT,
  endpoint_service_name VARCHAR(255),
  UNIQUE KEY (trace_id, span_id, a_key, a_timestamp),
  INDEX (trace_id, span_id)
) ENGINE=InnoDB CHARACTER SET=utf8 COLLATE utf8_general_ci;
