-- What version 3 of the schema added to version 2, as it is in the field. Never changed.
CREATE TABLE provider_offer (
  provider_id INTEGER PRIMARY KEY REFERENCES provider(id),
  at_ns INTEGER NOT NULL,
  complete INTEGER NOT NULL) STRICT;
CREATE TABLE offered_model (
  provider_id INTEGER NOT NULL REFERENCES provider(id),
  name TEXT NOT NULL,
  since_ns INTEGER NOT NULL,
  PRIMARY KEY (provider_id, name)) STRICT, WITHOUT ROWID;
UPDATE schema_version SET version = 3;
