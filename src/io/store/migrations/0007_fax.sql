-- When the tone of a fax machine was first heard of the caller.
ALTER TABLE call ADD COLUMN fax_ms INTEGER;
