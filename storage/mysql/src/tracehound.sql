-- Tables of our own beside Zipkin's, which it knows nothing of: deployments, reports, objectives, and versions that spans
-- have borne. Every change of a row has a number of its own, so that servers which share a database read from each other
-- what is new. A row without a body is gone.

CREATE TABLE IF NOT EXISTS tracehound_records (
  kind TINYINT NOT NULL,
  name_hash BINARY(32) NOT NULL,
  name MEDIUMBLOB NOT NULL,
  body LONGBLOB,
  revision BIGINT NOT NULL,
  PRIMARY KEY (kind, name_hash),
  INDEX (revision)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS tracehound_revisions (
  id TINYINT NOT NULL,
  revision BIGINT NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB;

INSERT INTO tracehound_revisions (id, revision) VALUES (1, 0) ON DUPLICATE KEY UPDATE id = tracehound_revisions.id
